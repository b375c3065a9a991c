"""Real servers and frameworks that write down what reached them: how each is started."""

import json
import os
import re
import socket
import sys
from pathlib import Path

from corpus import ROWS
from parts import Part

HERE = Path(__file__).parent

SERVING = r"(?:Serving on|Listening at:|running on|listening on|Server \() ?http://127\.0\.0\.1:(\d+)"
"""How all of them but nginx and Apache say where they listen."""


def python(*command):
    def start(folder, record):
        told = {"PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        return Part(folder, "upstream", [sys.executable, "-m", *command], SERVING, RECORD=str(record), **told)
    return start


def waitress(application, *more):
    return python("waitress", "--listen=127.0.0.1:0", *more, f"recorders:{application}")


def uvicorn(application, *more):
    return python("uvicorn", "--port=0", "--lifespan=off", "--no-access-log", *more, f"recorders:{application}")


def node(folder, record):
    return Part(folder, "upstream", ["node", HERE / "recorder.mjs"], SERVING, RECORD=str(record))


def php(folder, record):
    command = ["php", "-S", f"127.0.0.1:{free_port()}", HERE / "recorder.php"]
    return Part(folder, "upstream", command, SERVING, RECORD=str(record))


def client_names():
    """Every name of a header that a row of the corpora could smuggle an identity under, and our own."""
    names = {name for row in ROWS if row.category == "identity" for name, _ in row.header_lines()}
    own = {f"{family}-{of}" for family in ["X-Forwarded", "Remote"] for of in ["User", "Email", "Groups", "Name"]}
    return sorted(name for name in names | own if re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name))


def nginx(folder, record):
    """It folds names as CGI does; here it also forgives every name that it would leave out otherwise."""
    port = free_port()
    variables = sorted({re.sub("[^a-z0-9]", "_", name.lower()) for name in client_names()})
    fields = ",".join(f'["HTTP_{name.upper()}","$http_{name}"]' for name in variables)
    scratch = "\n".join(f"{name}_temp_path {folder}/{name};" for name in ["client_body", "proxy", "fastcgi", "uwsgi",
                                                                         "scgi"])
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(f"""
        daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr notice; {user}
        events {{}}
        http {{
            log_format record escape=json '{{"method":"$request_method","path":"$uri","headers":[{fields}]}}';
            access_log {record} record;
            {scratch}
            server {{
                listen 127.0.0.1:{port};
                underscores_in_headers on;
                ignore_invalid_headers off;
                location / {{ return 200 SECRET; }}
                location = /public {{ return 200 PUBLIC; }}
                location /public/ {{ return 200 PUBLIC; }}
            }}
        }}
    """)
    return Part(folder, "upstream", ["nginx", "-c", configuration, "-e", "stderr"], "start worker process ", port=port)


def apache(folder, record):
    port = free_port()
    # It has no way to name these two in its configuration.
    names = (name for name in client_names() if not re.search("['%]", name))
    fields = ",".join(f'[\\"{name}\\",\\"%{{{name}}}i\\"]' for name in names)
    for name in ["PUBLIC", "SECRET"]:
        (folder / name).write_text(name)
    modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
                        for name in ["mpm_event", "authz_core", "alias"])
    configuration = folder / "apache.conf"
    configuration.write_text(f"""
        {modules}
        ServerRoot {folder}
        DefaultRuntimeDir {folder}
        PidFile {folder}/apache2.pid
        ServerName localhost
        ErrorLog /dev/stderr
        LogLevel notice
        User nobody
        Group nogroup
        Listen 127.0.0.1:{port}
        DocumentRoot {folder}
        LogFormat "{{\\"method\\":\\"%m\\",\\"path\\":\\"%U\\",\\"headers\\":[{fields}]}}" record
        CustomLog {record} record
        AliasMatch "^/public(/.*)?$" "{folder}/PUBLIC"
        AliasMatch "^" "{folder}/SECRET"
    """)
    os.chmod(folder, 0o755)
    command = ["apache2", "-f", configuration, "-DFOREGROUND"]
    return Part(folder, "upstream", command, "resuming normal operations", port=port)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


ALL = {
    "waitress": waitress("wsgi"),
    "gunicorn": python("gunicorn", "--bind=127.0.0.1:0", "--threads=4", "--worker-tmp-dir=/dev/shm",
                       "--no-control-socket", "recorders:wsgi"),
    "uvicorn, h11": uvicorn("asgi", "--http=h11"),
    "uvicorn, httptools": uvicorn("asgi", "--http=httptools"),
    "Node.js": node,
    "nginx": nginx,
    "Apache": apache,
    "php -S": php,
    "Flask": waitress("flask", "--call"),
    "Bottle": waitress("bottle", "--call"),
    "Falcon": waitress("falcon", "--call"),
    "Starlette": uvicorn("starlette", "--factory"),
}

COMPLAINTS = re.compile(r"Invalid request from|Invalid HTTP request|Malformed HTTP request|client sent invalid")
"""What they log about bytes that they cannot read: nothing of that kind may have been passed on."""


class Record:
    """What was written to a file since the last look, one JSON object a line."""

    def __init__(self, path):
        self.path, self.read = path, 0

    def take(self):
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self.read)
            whole, newline, _ = file.read().rpartition(b"\n")
        self.read += len(whole + newline)
        lines = (line for line in whole.decode("latin-1").split("\n") if line.startswith("{"))
        # Apache writes bytes as \\x41.
        return [json.loads(re.sub(r"(?<!\\)\\x(..)", r"\\u00\1", line)) for line in lines]
