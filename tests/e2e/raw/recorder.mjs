// Node's own HTTP server, as recorders.py has it for others.

import { appendFileSync } from "node:fs";
import http from "node:http";
import { unescapeBuffer } from "node:querystring";

const write = (entry) => appendFileSync(process.env.RECORD, `${JSON.stringify(entry)}\n`);

const server = http.createServer((request, response) => {
  const path = unescapeBuffer(request.url.split("?")[0]).toString("latin1");
  const pairs = request.rawHeaders.map((name, at, all) => [name, all[at + 1]]).filter((_, at) => at % 2 === 0);
  write({ method: request.method, path, headers: pairs });
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    if (pieces.length) write({ body: Buffer.concat(pieces).toString("latin1") });
    response.end(path === "/public" || path.startsWith("/public/") ? "PUBLIC" : "SECRET");
  });
});
// What it cannot parse is a request that the gateway has not judged; a connection that ends early is not.
server.on("clientError", (error, socket) => {
  if (error.code.startsWith("HPE_") && error.code !== "HPE_INVALID_EOF_STATE") write({ broken: error.code });
  socket.destroy();
});
server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
