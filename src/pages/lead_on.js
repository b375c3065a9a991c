(async () => {
  const query = new URLSearchParams(location.search);
  // Names and codes take turns.
  const hosts = (query.get("stops") || "").split("~").filter((part, index) => part && index % 2 === 0);
  const origin = (host) => location.protocol + "//" + host + (location.port && ":" + location.port);
  const fails = async (host) => {
    const signal = AbortSignal.timeout(3000);
    const terms = { method: "HEAD", mode: "no-cors", credentials: "omit", cache: "no-store", signal };
    try {
      await fetch(origin(host) + location.pathname, terms);
      return false;
    } catch {
      return true;
    }
  };
  const failed = await Promise.all(hosts.map(fails));
  const unreached = hosts.filter((host, index) => failed[index]).join("~");
  location.replace(location.pathname + location.search + "&unreached=" + encodeURIComponent(unreached));
})();
