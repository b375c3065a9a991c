// Several gateways on one Redis server, behind an nginx that gives every request to the next one, all in front of one
// shop.

import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { Gateway, makeFolder, Part } from "./parts.mjs";

/** The number of ports to try: another program may take one between its choice and its use. */
const ATTEMPTS = 5;

/** On a socket in its folder. */
async function startRedis(folder) {
  const options = ["--port", "0", "--save", "", "--unixsocket", "redis.sock"];
  const server = new Part(["redis-server", ...options], { cwd: folder });
  await server.until((line) => line.includes("ready to accept connections"), "redis-server");
  return server;
}

/** The shop is a part of the program: a gateway with a public route that trusts the others serves it to them. */
const SHOP = `
listen = ["127.0.0.1:0"]
public_url = "http://localhost"
trusted_proxies = ["127.0.0.1"]
[[route]]
access = "public"
upstream = "demo"
pass_headers = ["X-Forwarded-User"]
[identity]
headers = []
[session]
store = "memory"
[login]
users = "users.toml"
`;

const sharing = (redis, shop) => `
listen = ["127.0.0.1:0"]
public_url = "http://localhost"
[[route]]
upstream = "http://127.0.0.1:${shop.port}"
[session]
store = "redis+unix://${redis}/redis.sock"
[login]
users = "users.toml"
[log]
format = "json"
`;

/** Folders of nginx for what it holds for a moment. */
const TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

const frontOf = (gateways, port, folder) => `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr notice;
${process.getuid() === 0 ? "user root;" : ""}
events {}
http {
    access_log off;
    ${TEMPORARY.map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")}
    map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
    upstream exeunt { ${gateways.map((gateway) => `server 127.0.0.1:${gateway.port};`).join(" ")} }
    server {
        listen 127.0.0.1:${port};
        location / {
            proxy_pass http://exeunt;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_buffering off;
            proxy_next_upstream off;
            add_header X-Served $upstream_addr always;
        }
    }
}
`;

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** nginx with all gateways behind it, each for the next request. */
class Front extends Part {
  static async before(gateways, folder) {
    for (let attempt = 1; ; attempt += 1) {
      const port = await freePort();
      const file = join(folder, "nginx.conf");
      writeFileSync(file, frontOf(gateways, port, folder));
      const front = new Front(["/usr/sbin/nginx", "-c", file, "-e", "stderr"], { cwd: folder });
      try {
        await front.until((line) => line.includes("start worker processes"), "nginx");
        return Object.assign(front, { port });
      } catch (error) {
        await front.stop();
        if (attempt === ATTEMPTS) throw error;
      }
    }
  }

  at(path, name = "localhost") {
    return `http://${name}:${this.port}${path}`;
  }
}

/** All of it, with this number of gateways. `parts` gets what is to be stopped, the last one first. */
export async function startSeveral(count, parts) {
  const home = makeFolder();
  parts.push(home);
  const folderOf = (name) => {
    const folder = join(home.folder, name);
    mkdirSync(folder);
    return folder;
  };
  const add = async (starting) => {
    const part = await starting;
    parts.push(part);
    return part;
  };
  const [redis, first] = [folderOf("redis"), folderOf("gateway-0")];
  await add(startRedis(redis));
  const shop = await add(Gateway.start(folderOf("shop"), SHOP));
  const gateways = [await add(Gateway.start(first, sharing(redis, shop)))];
  for (let number = 1; number < count; number += 1) {
    gateways.push(await add(Gateway.start(folderOf(`gateway-${number}`), sharing(redis, shop), first)));
  }
  return { gateways, front: await add(Front.before(gateways, folderOf("nginx"))) };
}
