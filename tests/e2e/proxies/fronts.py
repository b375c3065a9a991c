"""The proxies in front: each is started with its snippet from deploy/proxies/, in which only places are replaced."""

import os
import socket
from pathlib import Path

SNIPPETS = Path(__file__).parents[3] / "deploy" / "proxies"
NAME = "shop.example.com"
CERTIFICATE, KEY = "/etc/ssl/certs/shop.example.com.pem", "/etc/ssl/private/shop.example.com.key"


class Place:
    """Where things are in this run: a folder, the gateway's port, two free ports, certificate and key of NAME."""

    def __init__(self, folder, gateway_port, certificate, key):
        self.folder, self.gateway_port = folder, gateway_port
        self.certificate, self.key = certificate, key
        self.https, self.http = free_ports(2)

    def snippet(self, name, replacements):
        """A copy of the snippet with every replacement made; each must find something to replace."""
        text = (SNIPPETS / name).read_text()
        for old, new in replacements:
            assert old in text, f"{name} does not say {old!r}"
            text = text.replace(old, str(new))
        return self.write(name, text)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def common(self):
        """What most snippets name: the gateway and the certificate."""
        return [self.gateway(), (CERTIFICATE, self.certificate), (KEY, self.key)]

    def gateway(self):
        return ("127.0.0.1:8080", f"127.0.0.1:{self.gateway_port}")


def free_ports(count):
    """Free ports. They are bound at the same time for a moment, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def nginx(place):
    listens = [("listen 443", f"listen 127.0.0.1:{place.https}"), ("listen 80", f"listen 127.0.0.1:{place.http}")]
    # A request that fails is told, and not tried again in silence.
    once = ("proxy_http_version 1.1;", "proxy_http_version 1.1; proxy_next_upstream off;")
    site = place.snippet("nginx.conf", [*place.common(), *listens, once])
    scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    paths = "\n".join(f"{name}_temp_path {place.folder}/{name};" for name in scratch)
    user = "user root;" if os.geteuid() == 0 else ""
    main = place.write("main.conf", f"""
        daemon off; pid {place.folder}/nginx.pid; error_log stderr; {user}
        events {{}}
        http {{ access_log off; {paths} include {site}; }}
    """)
    return ["nginx", "-c", main, "-e", "stderr"]


APACHE_MODULES = "mpm_event authz_core ssl socache_shmcb http2 headers alias rewrite proxy proxy_http".split()


def apache(place):
    listens = [("*:443", f"127.0.0.1:{place.https}"), ("*:80", f"127.0.0.1:{place.http}")]
    site = place.snippet("apache.conf", place.common() + listens)
    modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in APACHE_MODULES)
    main = place.write("main.conf", f"""
        {modules}
        ServerRoot {place.folder}
        DefaultRuntimeDir {place.folder}
        PidFile {place.folder}/apache2.pid
        ServerName localhost
        ErrorLog /dev/stderr
        User nobody
        Group nogroup
        Listen 127.0.0.1:{place.https}
        Listen 127.0.0.1:{place.http}
        Include {site}
    """)
    return ["apache2", "-f", main, "-DFOREGROUND"]


def haproxy(place):
    both = place.write("both.pem", place.certificate.read_text() + place.key.read_text())
    listens = [("bind :443", f"bind 127.0.0.1:{place.https}"), ("bind :80", f"bind 127.0.0.1:{place.http}")]
    pem = ("/etc/haproxy/shop.example.com.pem", both)
    return ["haproxy", "-db", "-f", place.snippet("haproxy.cfg", [place.gateway(), pem, *listens])]


# No certificate authority is asked, nothing is kept in the home folder, nothing listens for administration.
CADDY_OPTIONS = """{{
	admin off
	persist_config off
	default_bind 127.0.0.1
	storage file_system {folder}
	http_port {http}
	https_port {https}
	servers {{"""


def caddy(place):
    options = ("{\n\tservers {", CADDY_OPTIONS.format(folder=place.folder, http=place.http, https=place.https))
    own_certificate = (f"# tls {CERTIFICATE}", f"tls {CERTIFICATE}")
    config = place.snippet("Caddyfile", [options, own_certificate, *place.common()])
    return ["caddy", "run", "--adapter", "caddyfile", "--config", config]


def traefik(place):
    dynamic = place.snippet("traefik-exeunt.yml", place.common())
    listens = [('":443"', f'"127.0.0.1:{place.https}"'), ('":80"', f'"127.0.0.1:{place.http}"')]
    static = place.snippet("traefik.yml", [("/etc/traefik/traefik-exeunt.yml", dynamic), *listens])
    return ["traefik", f"--configFile={static}"]


ALL = {"nginx": nginx, "apache": apache, "haproxy": haproxy, "caddy": caddy, "traefik": traefik}
