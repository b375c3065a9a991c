"""Who is measured. Each forwards the same request with twelve lines more: where it comes from, and who is signed in,
under both usual sets of names."""

import http.client
import http.cookiejar
import os
import re
import shutil
import subprocess
import urllib.request
from urllib.parse import urlencode

from load import page
from machine import MEASURED, OTHERS, Program, free_ports, wait_for

PASSWORD = "correct horse battery"
# Two workers' worth of idle connections, too.
OPEN_FILES = 65_536
ORIGIN = {"X-Forwarded-For": "client", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "localhost",
          "X-Forwarded-Port": "80"}
IDENTITY = {
    "X-Forwarded-User": "alice", "X-Forwarded-Email": "alice@example.com", "X-Forwarded-Groups": "staff,sales",
    "X-Forwarded-Preferred-Username": "Alice", "Remote-User": "alice", "Remote-Email": "alice@example.com",
    "Remote-Groups": "staff,sales", "Remote-Name": "Alice",
}
LINES = {**ORIGIN, **IDENTITY}


class Contestant:
    """Something that listens. `more` are header lines that open its pages, `cookie` our cookie."""

    name = ""

    def __init__(self, place, upstream):
        self.upstream = upstream
        # A proxy may be there twice, before two applications.
        self.place = place / f"{re.sub('[^0-9A-Za-z]+', '-', self.name)}-{upstream}"
        self.place.mkdir()
        self.programs, self.unmeasured, self.more, self.cookie = [], [], "", None
        [self.port] = free_ports(1)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def start(self):
        raise NotImplementedError

    def write(self, name, text):
        path = self.place / name
        path.write_text(text)
        return path

    def run(self, command, port=None, **options):
        options.setdefault("processors", MEASURED)
        program = Program(command, log=self.place / "log", **options)
        self.programs.append(program)
        wait_for(port or self.port, program)
        return program

    def head(self, path, **options):
        return page(path, cookie=self.cookie, more=self.more, **options)

    def cpu_seconds(self):
        return sum(program.cpu_seconds() for program in self.programs)

    def resident_bytes(self):
        return sum(program.resident_bytes() for program in self.programs)

    def stop(self):
        for program in self.programs + self.unmeasured:
            program.stop()


NGINX = """\
daemon off; worker_processes 1; pid {place}/nginx.pid; error_log stderr crit; worker_rlimit_nofile {files}; {user}
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 100000000; keepalive_timeout 75s; server_tokens off;
    {paths}
    {http}
}}
"""


def nginx(contestant, http, port, name="nginx", **options):
    scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    paths = " ".join(f"{kind}_temp_path {contestant.place}/{name}-{kind};" for kind in scratch)
    user = "user root;" if os.geteuid() == 0 else ""
    place = contestant.place / name
    place.mkdir()
    text = NGINX.format(place=place, files=OPEN_FILES, user=user, paths=paths, http=http)
    config = contestant.write(f"{name}.conf", text)
    return contestant.run(["nginx", "-c", config, "-e", "stderr"], port=port, **options)


def nginx_lines(lines):
    return " ".join(f'proxy_set_header {name} "{value}";' for name, value in lines.items())


NGINX_PROXY = """\
upstream application {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 100000000; }}
server {{
    listen 127.0.0.1:{port};
    location / {{
        {auth}
        proxy_pass http://application; proxy_http_version 1.1;
        client_max_body_size 0; proxy_request_buffering off;
        proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
        {lines}
    }}
    {more}
}}
"""


class Application(Contestant):
    """What is behind: 1 KiB, or 64, from nginx, on the processors of the load."""

    name = "application"

    def start(self):
        for name, size in [("page", 1024), ("large", 64 * 1024)]:
            self.write(name, "x" * size)
        location = f"default_type text/html; open_file_cache max=10; root {self.place};"
        nginx(self, f"server {{ listen 127.0.0.1:{self.port}; {location} }}", self.port, processors=OTHERS)


class Direct(Contestant):
    """No proxy in between: what the load generator and the application can do."""

    name = "direct"

    def start(self):
        self.port = self.upstream


class Nginx(Contestant):
    """nginx as a plain proxy: it lets everybody in."""

    name = "nginx, no sign-in"

    def start(self):
        lines = nginx_lines({name: value for name, value in LINES.items() if name != "X-Forwarded-For"})
        configuration = NGINX_PROXY.format(upstream=self.upstream, port=self.port, auth="", lines=lines, more="")
        nginx(self, configuration, self.port)


class Endpoint:
    """An nginx that answers 204 at once, with who is signed in: the cheapest of all sign-in services."""

    @staticmethod
    def start(contestant):
        [port] = free_ports(1)
        lines = " ".join(f'add_header {name} "{value}";' for name, value in IDENTITY.items())
        http = f"server {{ listen 127.0.0.1:{port}; location / {{ {lines} return 204; }} }}"
        nginx(contestant, http, port, name="endpoint")
        return port


class NginxAuth(Contestant):
    """nginx that asks a sign-in service about every request."""

    name = "nginx + auth_request"

    def start(self):
        endpoint = Endpoint.start(self)
        variable = {name: "$" + name.lower().replace("-", "_") + "_told" for name in IDENTITY}
        told = " ".join(
            f"auth_request_set {into} $upstream_http_{name.lower().replace('-', '_')};"
            for name, into in variable.items()
        )
        others = {name: value for name, value in ORIGIN.items() if name != "X-Forwarded-For"}
        more = """
            location = /check {
                internal; proxy_pass http://check; proxy_http_version 1.1; proxy_set_header Connection "";
                proxy_pass_request_body off; proxy_set_header Content-Length "";
            }"""
        pool = f"upstream check {{ server 127.0.0.1:{endpoint}; keepalive 128; keepalive_requests 100000000; }}"
        auth = f"auth_request /check; {told}"
        lines = nginx_lines({**others, **variable})
        proxy = NGINX_PROXY.format(upstream=self.upstream, port=self.port, auth=auth, lines=lines, more=more)
        nginx(self, pool + proxy, self.port)


class HAProxy(Contestant):
    """HAProxy as a plain proxy: it lets everybody in."""

    name = "HAProxy, no sign-in"

    def start(self):
        lines = "\n".join(f'    http-request set-header {name} "{value}"' for name, value in LINES.items())
        config = self.write("haproxy.cfg", f"""\
global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 75s
    http-reuse always
frontend web
    bind 127.0.0.1:{self.port}
{lines}
    default_backend application
backend application
    server application 127.0.0.1:{self.upstream}
""")
        self.run(["haproxy", "-db", "-f", config])


APACHE_MODULES = """\
mpm_event authz_core authz_user authn_core socache_shmcb headers proxy proxy_http
""".split()


class Apache(Contestant):
    """Apache as a reverse proxy; how it knows its users is for each of its kinds to say."""

    modules = ()

    def serve(self, sign_in):
        modules = "\n".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
            for name in (*APACHE_MODULES, *self.modules)
        )
        lines = "\n".join(f'RequestHeader set {name} "{value}"' for name, value in LINES.items())
        config = self.write("apache.conf", f"""\
{modules}
ServerRoot {self.place}
DefaultRuntimeDir {self.place}
PidFile {self.place}/apache2.pid
ServerName localhost
ErrorLog {self.place}/log
User nobody
Group nogroup
Listen 127.0.0.1:{self.port}
ServerLimit 4
ThreadsPerChild 64
MaxRequestWorkers 256
AsyncRequestWorkerFactor 20
MaxKeepAliveRequests 0
KeepAliveTimeout 75
{sign_in}
<Location />
    {lines}
</Location>
ProxyPass /callback !
ProxyPass / http://127.0.0.1:{self.upstream}/ keepalive=On
ProxyPreserveHost On
""")
        self.run(["apache2", "-f", config, "-DFOREGROUND"])


class ApacheBasic(Apache):
    """Apache with its Basic sign-in. What it keeps in shared memory is the hash, not the verdict: it computes the hash
    of the password for every request, so the hash is the fastest that there is (with bcrypt it costs milliseconds).
    """

    name = "Apache, Basic + socache"
    modules = ("authn_file", "authn_socache", "auth_basic")

    def start(self):
        users = self.place / "users"
        subprocess.run(["htpasswd", "-cbs", users, "alice", PASSWORD], check=True, capture_output=True)
        users.chmod(0o644)
        # "alice:correct horse battery" in base64.
        self.more = "Authorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\n"
        self.serve(f"""\
AuthnCacheSOCache shmcb
<Location />
    AuthType Basic
    AuthName site
    AuthBasicProvider socache file
    AuthnCacheProvideFor file
    AuthUserFile {users}
    Require valid-user
</Location>""")


class ApacheOpenId(Apache):
    """Apache with mod_auth_openidc: a session of its own in shared memory, made by a sign-in at a provider."""

    name = "Apache, mod_auth_openidc"
    modules = ("auth_openidc",)

    def start(self):
        [port] = free_ports(1)
        # Needed for the sign-in alone: what it costs and takes is not Apache's.
        provider = Program(["oidc-provider-mock", "--port", port, "--user", "alice"], OTHERS, self.place / "provider")
        self.unmeasured.append(provider)
        wait_for(port, provider)
        self.serve(f"""\
OIDCProviderMetadataURL http://127.0.0.1:{port}/.well-known/openid-configuration
OIDCClientID measured
OIDCClientSecret measured
OIDCRedirectURI http://localhost:{self.port}/callback
OIDCCryptoPassphrase "{PASSWORD}"
OIDCCookieSameSite On
OIDCSessionInactivityTimeout 3600
<Location />
    AuthType openid-connect
    Require valid-user
</Location>""")
        self.cookie = sign_in_at_provider(self.port)


def sign_in_at_provider(port):
    """The cookie of mod_auth_openidc: to the provider, its form, and back."""
    cookies = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    browser.addheaders = [("Accept", "text/html")]
    form = browser.open(f"http://localhost:{port}/page", timeout=30).geturl()
    browser.open(form, urlencode({"sub": "alice"}).encode(), timeout=30)
    found = next((cookie for cookie in cookies if cookie.name == "mod_auth_openidc_session"), None)
    assert found, [cookie.name for cookie in cookies]
    return f"{found.name}={found.value}"


class Caddy(Contestant):
    """Caddy that asks a sign-in service about every request."""

    name = "Caddy, forward_auth"

    def start(self):
        endpoint = Endpoint.start(self)
        told = " ".join(IDENTITY)
        config = self.write("Caddyfile", f"""\
{{
	admin off
	persist_config off
	auto_https off
}}
http://:{self.port} {{
	bind 127.0.0.1
	forward_auth 127.0.0.1:{endpoint} {{
		uri /check
		copy_headers {told}
	}}
	reverse_proxy 127.0.0.1:{self.upstream}
}}
""")
        environment = {"GOMAXPROCS": "1", "HOME": str(self.place), "XDG_DATA_HOME": str(self.place)}
        self.run(["caddy", "run", "--adapter", "caddyfile", "--config", config], environment=environment)


class Traefik(Contestant):
    """Traefik that asks a sign-in service about every request."""

    name = "Traefik, forwardAuth"

    def start(self):
        endpoint = Endpoint.start(self)
        told = "".join(f"          - {name}\n" for name in IDENTITY)
        dynamic = self.write("dynamic.yml", f"""\
http:
  routers:
    site: {{ rule: "PathPrefix(`/`)", entryPoints: [web], service: application, middlewares: [check] }}
  middlewares:
    check:
      forwardAuth:
        address: http://127.0.0.1:{endpoint}/check
        authResponseHeaders:
{told}
  services:
    application: {{ loadBalancer: {{ servers: [{{ url: "http://127.0.0.1:{self.upstream}" }}] }} }}
""")
        static = self.write("static.yml", f"""\
entryPoints: {{ web: {{ address: "127.0.0.1:{self.port}" }} }}
providers: {{ file: {{ filename: {dynamic} }} }}
log: {{ level: ERROR }}
""")
        self.run(["traefik", f"--configFile={static}"], environment={"GOMAXPROCS": "1"})


class Exeunt(Contestant):
    """Exeunt as it is installed: `exeunt serve`."""

    access = False

    def __init__(self, place, upstream, name, program):
        self.name, self.program = name, program
        super().__init__(place, upstream)

    def start(self):
        users = self.place / "users.toml"
        add = [self.program, "user", "set", "alice", "--file", users, "--group", "staff", "--group", "sales", "--email",
               "alice@example.com", "--name", "Alice"]
        subprocess.run(add, input=f"{PASSWORD}\n", text=True, check=True, capture_output=True)
        config = self.write("config.toml", f"""\
listen = ["127.0.0.1:{self.port}"]
public_url = "http://localhost"
[[route]]
upstream = "http://127.0.0.1:{self.upstream}"
[login]
users = "users.toml"
[log]
access = {"true" if self.access else "false"}
""")
        self.run([self.program, "serve", "--config", config])
        self.cookie = sign_in(self.port)


class LoggingExeunt(Exeunt):
    """The same, with its access line, which is on by default."""

    access = True


class Crowd(Contestant):
    """The gateway of benches/instructions, with so many sessions."""

    def __init__(self, place, upstream, name, program, sessions):
        self.name, self.program, self.sessions = name, program, sessions
        super().__init__(place, upstream)

    def start(self):
        command = [self.program, "outside", f"127.0.0.1:{self.upstream}", self.sessions]
        # It serves until its input ends, and tells its address and cookies first.
        program = Program(command, MEASURED, self.place / "log", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.programs.append(program)
        output = program.process.stdout
        self.port = int(output.readline().decode().rpartition(":")[2])
        self.cookies = self.place / "cookies"
        with open(self.cookies, "wb") as cookies:
            shutil.copyfileobj(Lines(output), cookies)


class Lines:
    """The lines of a stream up to an empty one, as something to read from."""

    def __init__(self, stream):
        self.stream = stream

    def read(self, _size):
        line = self.stream.readline()
        return b"" if line == b"\n" else line


def sign_in(port):
    """Our cookie, by the form, as a browser gets it."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    form = urlencode({"username": "alice", "password": PASSWORD})
    client.request("POST", "/login", form, {"Host": "localhost", "Content-Type": "application/x-www-form-urlencoded"})
    answer = client.getresponse()
    lines = [value for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    cookies = [re.match(r"exeunt=[^;]+", line) for line in lines]
    found = next((cookie.group() for cookie in cookies if cookie), None)
    assert answer.status == 303 and found, (answer.status, answer.read())
    return found


PROXIES = [Direct, Nginx, HAProxy, NginxAuth, ApacheBasic, ApacheOpenId, Caddy, Traefik]
