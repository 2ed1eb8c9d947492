"""LangChain: pip install langchain-openai; python langchain_client.py [http://127.0.0.1:8080]"""

import sys

from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
chat = ChatOpenAI(model="industry-chat", base_url=f"{url}/v1", api_key="none", temperature=0)

chain = ChatPromptTemplate.from_messages([("user", "What is a {thing}?")]) | chat
print(chain.invoke({"thing": "tuyere"}).content)
for part in chain.stream({"thing": "tuyere"}):
    print(part.content, end="", flush=True)
print()

embed = OpenAIEmbeddings(
    model="text-embed",
    base_url=f"{url}/v1",
    api_key="none",
    check_embedding_ctx_length=False,  # or it asks a tokenizer that is not this model's
)
print(len(embed.embed_query("the feed pump leaks")), "numbers")
