(async () => {
  const workers = navigator.serviceWorker, line = document.getElementById("tabs");
  if (!workers) return;
  workers.onmessage = ({ data }) => {
    if (!line || !Number.isInteger(data) || data < 1) return;
    line.textContent = data === 1 ? line.dataset.one : line.dataset.other.replace("{count}", data);
    line.hidden = false;
  };
  const script = "/.exeunt/tabs.js", scope = location.origin + "/";
  const there = (await workers.getRegistrations()).find((other) => other.scope === scope);
  if (there) {
    // A worker that belongs to an application is not replaced.
    const theirs = [there.installing, there.waiting, there.active].filter(Boolean);
    if (!theirs.length || theirs.some((other) => new URL(other.scriptURL).pathname !== script)) return;
  }
  // With a constant address the browser would revive a registration that an open page still uses, and run nothing.
  await workers.register(script + "?" + crypto.randomUUID(), { scope: "/", updateViaCache: "none" });
})().catch(() => {});
