// Sends the open tabs of this site to the sign-in page, once, after a sign-out. It answers no request, and it is
// unregistered at once.
const isOwn = (url) => {
  const path = new URL(url).pathname.toLowerCase().replace(/(.)\/$/, "$1");
  return own.includes(path) || path.startsWith("/.exeunt/");
};
oninstall = () => skipWaiting();
onactivate = (event) => event.waitUntil((async () => {
  // navigate() works on claimed tabs only, and unregister() leaves them claimed. Navigations are not waited for: the
  // requests of claimed tabs wait until this function has returned.
  await clients.claim();
  await registration.unregister();
  const all = await clients.matchAll({ type: "window", includeUncontrolled: true });
  const others = all.filter((client) => !isOwn(client.url));
  for (const other of others) other.navigate(login).catch(() => {});
  const tabs = others.filter((client) => client.frameType !== "nested").length;
  const pages = all.filter((client) => new URL(client.url).pathname.toLowerCase().startsWith("/.exeunt/goodbye"));
  for (const page of pages) page.postMessage(tabs);
})());
