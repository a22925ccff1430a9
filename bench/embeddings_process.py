"""An embeddings server that costs nothing: a random direction of 384 numbers for each text."""

import sys
import zlib

import numpy as np
import orjson
import uvicorn

HEADERS = [(b"content-type", b"application/json")]
RANDOM = np.random.default_rng(1).standard_normal((4096, 384)).round(4).astype(np.float32)


async def app(scope: dict, receive: object, send: object) -> None:
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    texts = orjson.loads(body)["input"] if body else []
    data = [
        {"object": "embedding", "index": index, "embedding": RANDOM[zlib.crc32(text.encode()) % 4096]}
        for index, text in enumerate(texts)
    ]
    answer = orjson.dumps({"object": "list", "data": data, "model": "random"}, option=orjson.OPT_SERIALIZE_NUMPY)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": answer})


uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
