"""A relay that writes down what it is sent: `recorder.py FILE PORT` listens on a free port in front of PORT.

An application that gets its cookies from the gateway's vault alone shows them nowhere else.
"""

import asyncio
import sys


async def pump(reader, writer, record=None):
    try:
        while piece := await reader.read(65536):
            if record:
                record.write(piece)
                record.flush()
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main(file, port):
    async def relay(reader, writer):
        application_reader, application_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, application_writer, record), pump(application_reader, writer))

    with open(file, "ab") as record:
        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        print(f"relaying on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        async with server:
            await server.serve_forever()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
