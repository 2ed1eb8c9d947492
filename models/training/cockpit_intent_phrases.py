"""What people say to a car: phrases by intent, and the words that fill their slots.

In a phrase `a|b` is one or the other, an empty side is silence, `_` is a blank within a choice, and
`{slot}` is filled. Open slots (people, streets, songs, artists) are filled with made-up names.
"""

from __future__ import annotations

PHRASES = {
    "navigate": (
        "navigate|drive|go|take_me|bring_me|route|directions to {destination}",
        "i|we want|need|have to go|get to {destination} |now|today|quickly",
        "how do i get to {destination}",
        "set|start the|a|my route|navigation to {destination}",
        "let's|let_us go|head to {destination}",
        "new destination {destination}",
    ),
    "add_stop": (
        "add a stop at|in {destination}",
        "stop at|by {destination} on the way",
        "we|i need to stop at {destination} |first|before",
        "go via|through {destination}",
        "make a stop at {destination} |before_we_get_there",
    ),
    "cancel_route": (
        "cancel|stop|end|quit the|my|this navigation|route|guidance",
        "stop guiding me |there|please",
        "i know the way |from_here |now",
        "turn off navigation|guidance|directions",
    ),
    "find_place": (
        "find|show|look_for|search_for a|the|some {place} |nearby|near_here|close_by|around_here",
        "where is|where's the nearest|next|closest {place}",
        "is|are there a|any {place} near|around here|us|me",
        "i need a {place} |soon|now",
        "find a {place} near|close_to {destination}",
    ),
    "traffic": (
        "how is|how's the traffic |now|today|ahead",
        "how is|how's the traffic on|to|near {destination}",
        "is|are there any|a traffic|jam|jams|delays |ahead|on_my_route",
        "any|show accidents|jams|congestion |ahead|on_the_way",
        "traffic to {destination}",
    ),
    "arrival_time": (
        "when do|will we|i arrive |there|at_home",
        "when do|will we|i get to {destination}",
        "how long|much_longer until|till we arrive|get_there",
        "how far is|is_it_to {destination}",
        "will we|i be there|home by|before|at {time}",
        "what is|what's the arrival|eta |time",
    ),
    "set_temperature": (
        "set|make|put the|my temperature|climate|heating|ac to {temperature} |degrees",
        "set|make it to|at| {temperature} degrees",
        "{temperature} degrees |please|in_here |for the {seat} |seat|side",
        "set|change the {seat} |side|seat temperature to {temperature} |degrees",
        "i want|need it {temperature} degrees |in_here",
        "heat|cool the car|cabin to {temperature} |degrees",
    ),
    "warmer": (
        "i|we am|are |so|very|too cold|freezing",
        "make it |a_bit|a_little|much warmer |in_here",
        "it is|it's |too|so|very|really cold |in_here|here",
        "turn|put up the heat|heating|temperature |a_bit|a_little",
        "more heat|warmth |please |for the {seat} |seat|side",
        "warm up the|my {seat} |side|seat",
    ),
    "colder": (
        "i|we am|are |so|very|too hot|sweating|warm",
        "make it |a_bit|a_little|much cooler|colder |in_here",
        "it is|it's |too|so|very|really hot|warm|stuffy |in_here|here",
        "turn|put down the heat|heating|temperature |a_bit|a_little",
        "more cooling|cold_air |please |for the {seat} |seat|side",
        "cool down the|my {seat} |side|seat",
    ),
    "fan_speed": (
        "set|put|turn the fan|blower |speed to {level}",
        "turn the fan|blower up|down to {level}",
        "fan|blower |speed {level}",
        "more|less air|wind |from_the_fan|from_the_vents",
        "turn up|down the fan|blower |a_bit|a_little",
    ),
    "defrost": (
        "defrost|defog|clear|demist the windshield|windscreen|rear_window",
        "turn|switch on the defroster|defogger|rear_defroster",
        "the windshield|windscreen|glass is |all foggy|fogged|iced|frozen |up|over",
        "i can't|cannot see through the windshield|windscreen|glass",
    ),
    "seat_heating": (
        "turn|switch on|off the seat heating|heater |for the {seat} |seat",
        "set|put the {seat} seat heating|heater to {level}",
        "heat my|the {seat} seat |to {level}",
        "seat heating|heater |on|to {level} |for the {seat} |seat",
        "warm my seat |up |to {level}",
    ),
    "window_open": (
        "open|lower|roll_down the|my {window} window |a_bit|a_little|fully",
        "open all|the windows |a_bit|please",
        "open|lower the {window} window|one |by|to {percent} percent",
        "let some|in fresh_air |in|inside",
        "put|wind the {window} window down",
    ),
    "window_close": (
        "close|shut|raise|roll_up the|my {window} window |fully|again",
        "close|shut all|the windows |please|now",
        "close the {window} window|one |by|to {percent} percent",
        "put|wind the {window} window up",
        "it is|it's too windy|loud with|at the {window} |window",
    ),
    "play_music": (
        "play {song} by|from {artist}",
        "play|put_on|start {artist}",
        "play|put_on some|a {genre} |music|songs",
        "play the|a song {song} |please|again",
        "i|we want to hear|listen_to {song} by {artist}",
        "i|we want to hear|listen_to some {genre}",
        "something|music by|from {artist} |please",
        "tune|switch to |the_station {station}",
        "play|put_on |the|radio_station {station} |radio",
    ),
    "volume": (
        "turn|put the|my volume|sound|music|radio up|down |a_bit|a_little|to {level}",
        "turn up|down the volume|sound|music|radio |a_bit|a_little",
        "set|put |the volume|sound to|at {level}",
        "volume|sound up|down|to {level}",
        "make it|the_music|the_radio |a_bit|much louder|quieter",
        "mute|unmute |the_music|the_sound|it",
    ),
    "next_track": (
        "next|skip |this|the song|track |please",
        "skip this|it |one |please",
        "play|go_to the next|following song|track|one",
        "i don't|do_not like this song|track|one |at_all",
    ),
    "pause": (
        "pause|stop the|my music|radio|song|playback",
        "pause |it|this|that |please|now",
        "stop playing |the_music|this|that",
        "turn|switch off the|this music|radio|song",
    ),
    "call": (
        "call|phone|ring|dial {contact} |please|now|back",
        "call|phone {contact} at|on work|home|mobile|the_mobile",
        "make|place|start a call to|with {contact}",
        "get {contact} on the phone|line",
        "i|we want|need to talk|speak to|with {contact}",
        "call|dial |the|number {number}",
    ),
    "send_message": (
        "text|message {contact} |that|saying {message}",
        "tell {contact} |that {message}",
        "send |a text|message|note to {contact} |saying|that {message}",
        "send {contact} a text|message |saying {message}",
        "let {contact} know |that {message}",
        "write |to {contact} |that {message}",
    ),
    "weather": (
        "what is|what's|how is|how's the weather |like |today|tomorrow|now|outside",
        "what is|what's|how is|how's the weather |like in|at {destination} |today|tomorrow",
        "will|does it rain|snow |today|tomorrow |in|at {destination}",
        "do i need an|my umbrella |today|tomorrow |in {destination}",
        "weather |forecast in|for|at {destination}",
        "how cold|warm|hot is|will it |be outside|today|tomorrow",
    ),
    "range_left": (
        "how far|much_further can|will i|we |still go|drive |with_this_charge",
        "how much|many range|charge|battery|kilometers is|are|do_i_have left",
        "what is|what's the|my range|battery|charge |level|state",
        "can|will we|i make|reach it to| {destination} without charging",
        "is the battery|charge enough for|to_reach {destination}",
    ),
    "charge_limit": (
        "set|limit|cap |the charge|charging |limit to|at {percent} percent",
        "charge |the_car|it |only to|up_to {percent} percent",
        "stop charging at {percent} percent",
        "i|we want|need {percent} percent |charge|battery by|until {time}",
        "have the|my car charged |to {percent} percent by {time}",
    ),
    "ambient_light": (
        "set|change|make|turn the |ambient|cabin|interior light|lights|lighting to| {colour}",
        "make it|the_cabin|the_interior {colour} |please|inside",
        "i want {colour} |ambient|cabin light|lights|lighting",
        "turn|switch on|off the ambient|interior|cabin light|lights|lighting",
        "dim|brighten the |ambient|cabin|interior light|lights|lighting |to {percent} percent",
    ),
    "cruise_speed": (
        "set |the cruise|cruise_control |speed to|at {speed} |kilometers_an_hour",
        "drive|go|cruise at|with {speed} |kilometers_an_hour",
        "hold|keep |the speed at|of {speed} |kilometers_an_hour",
        "cruise_control on|to {speed}",
        "turn|switch on|off the cruise_control|adaptive_cruise",
    ),
    "wipers": (
        "turn|switch on|off the |rear wipers|wiper",
        "wipe|wash|clean the windshield|windscreen|rear_window |please",
        "set|put the wipers|wiper |speed to|on {level}",
        "wipers|wiper faster|slower|on|off |please",
        "it |is|has raining|started_raining |again|heavily",
    ),
}
INTENTS = tuple(PHRASES)

# What is said before the command itself and asks for nothing, though it sounds like other commands.
PREAMBLES = (
    "we|i are|am on the way |home|to_work so|and",
    "it is|it's |so|too|very cold|hot|loud|windy outside|in_here but|so|and",
    "the traffic|weather|road is bad|terrible|slow |today so|and",
    "my|the battery|charge|range is |almost|very low so|but",
    "after|during this|the song|call|track|stop",
    "when|before we arrive|get_there|stop",
    "i just sent|wrote a|the message|text so|and",
    "the kids|passengers want|like|hear music|the_radio but|so",
    "i like|love this song|music|radio|station but|and",
    "it is|it's raining|snowing |again so|and",
    "the rear|left|back window|seat is open|cold|wet so|and|but",
    "i know the way|route|road |to_work but|so",
    "the navigation|volume|temperature|fan|light is fine|okay but|so",
    "i don't want the|any music|heat|air|radio|navigation |now but|just",
    "i have|need to call|text|message someone|my_friend |later|soon but|so",
)

SYLLABLES = "ba be bo da del den do fa fin ga gor ha hol ja ka kal ko la len li lo ma mel mi mo na "
SYLLABLES += "nor o pa pel ra ri ros sa sel si ta tel to tun u va ven wa wil ya yo za zen"
ROADS = "street road avenue lane square bridge park station airport terminal hotel mall center"
SONG_WORDS = (
    "the my your love night rain in of summer blue dancing home heart on fire road light you "
)
SONG_WORDS += "me and last first never always city moon river golden time again"
FILLERS = "please hey car uh um okay now could_you can_you would_you hello listen well so i_think"
TENS = ("10", "15", "20", "25", "30", "40", "50", "60", "70", "75", "80", "85", "90", "95", "100")
CLOSED = {
    "place": (
        "restaurant", "coffee shop", "charging station", "charger", "gas station", "parking",
        "parking garage", "supermarket", "pharmacy", "hospital", "bakery", "car wash", "rest area",
        "playground", "bank", "toilet", "hotel", "chinese restaurant", "fast charger",
    ),
    "temperature": (*(str(degrees) for degrees in range(16, 29)), "19.5", "20.5", "21.5", "22.5"),
    "level": ("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "low", "medium", "high", "maximum",
              "minimum", "level 1", "level 2", "level 3", "half"),
    "seat": ("driver", "passenger", "front", "rear", "back", "rear left", "rear right", "left",
             "right", "driver's", "passenger's"),
    "window": ("driver", "passenger", "rear", "left", "right", "rear left", "rear right", "back",
               "front", "front left", "front right", "driver's"),
    "percent": TENS,
    "genre": ("jazz", "rock", "pop", "classical", "country", "techno", "hip hop", "folk", "blues",
              "opera", "metal", "soul", "ambient", "piano", "nineties", "children's"),
    "time": ("7", "8", "9", "noon", "midnight", "6 am", "7 am", "8 am", "9 am", "7 30",
             "half past 8", "5 pm", "6 pm", "tomorrow morning", "tonight", "3 o'clock",
             "10 o'clock"),
    "colour": ("red", "blue", "green", "purple", "orange", "white", "warm white", "yellow", "pink",
               "turquoise", "dark blue", "light green", "violet"),
    "speed": ("30", "50", "60", "70", "80", "90", "100", "110", "120", "130"),
    "message": (
        "i am late", "i will be late", "i am on my way", "we are stuck in traffic",
        "i am almost there", "i will call back", "see you at 8", "see you tomorrow",
        "dinner is at 7", "i love you",
        "we are there in 10 minutes", "please wait for me", "the meeting is cancelled",
        "happy birthday", "i am driving now", "please open the door", "call me back",
        "bring the keys", "we are at home", "turn on the lights", "it is raining",
        "i need 20 minutes",
    ),
}  # fmt: skip
USUAL_DESTINATIONS = ("home", "work", "the office", "the airport", "the station", "school",
                      "downtown", "the city center", "the beach", "the hospital")  # fmt: skip
USUAL_CONTACTS = ("mom", "dad", "my wife", "my husband", "my boss", "the office", "grandma",
                  "doctor", "my brother", "my sister")  # fmt: skip
SLOTS = ("destination", "place", "time", "temperature", "seat", "level", "window", "percent",
         "song", "artist", "genre", "station", "contact", "number", "message", "colour",
         "speed")  # fmt: skip
