"""The channel: messages in order, and an end that is heard as an end."""

import socket

from gateway.runtime.worker_channel import (
    Accept,
    Channel,
    Failed,
    Hello,
    Ready,
    Retire,
    Stop,
    ToChild,
)

HELLO = Hello(
    {"server": {"workers": 2}}, 1, (88, 2, 400, 16), 7, (8, 9), (1,), "/f", "/f/1", "/f/s"
)


async def pair() -> tuple[Channel, Channel]:
    left, right = socket.socketpair()
    return await Channel.over(left), await Channel.over(right)


async def test_orders_arrive_as_they_were_given() -> None:
    supervisor, worker = await pair()
    orders: list[ToChild] = [HELLO, Accept(1, wanted=False), Retire(), Stop()]
    for order in orders:
        supervisor.tell(order)
    supervisor.close()
    assert [order async for order in worker.to_child()] == orders
    worker.close()


async def test_answers_arrive_and_the_last_word_is_not_lost() -> None:
    supervisor, worker = await pair()
    worker.tell(Ready(88, ("m", "n")))
    await worker.say_last(Failed("no such file"))
    assert [said async for said in supervisor.to_supervisor()] == [
        Ready(88, ("m", "n")),
        Failed("no such file"),
    ]
    supervisor.close()


async def test_half_a_line_is_the_end() -> None:
    left, right = socket.socketpair()
    channel = await Channel.over(right)
    left.sendall(b'{"type": "Stop"}\n{"type": "Re')
    left.close()
    assert [order async for order in channel.to_child()] == [Stop()]
    channel.close()


async def test_telling_one_who_is_gone_does_nothing() -> None:
    supervisor, worker = await pair()
    worker.close()
    assert [said async for said in supervisor.to_supervisor()] == []
    supervisor.close()
    supervisor.tell(Stop())
