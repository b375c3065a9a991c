"use strict";

// The language is in a cookie that scripts may read; the session is in one that they may not.
const language = /(?:^|; )lang=(\w+)/.exec(document.cookie)?.[1] ?? document.documentElement.lang;
const money = new Intl.NumberFormat(language, { style: "currency", currency: "EUR" });

function show(way, text) {
  for (const [id, cents] of Object.entries(JSON.parse(text).prices)) {
    document.querySelector(`[data-${way}="${id}"]`).textContent = money.format(cents / 100);
  }
  const state = document.getElementById(way);
  if (state.value !== state.dataset.live) state.value = state.dataset.live;
}

function end(way, why) {
  const state = document.getElementById(way);
  state.value = why ? `${state.dataset.ended}: ${why}` : state.dataset.ended;
}

const socket = new WebSocket(new URL("/ticker/ws", location).href.replace(/^http/, "ws"));
socket.onmessage = (event) => show("ws", event.data);
socket.onclose = (event) => end("ws", event.reason || event.code);

const events = new EventSource("/ticker/sse");
events.onmessage = (event) => show("sse", event.data);
events.onerror = () => {
  // A stream that ended is asked for again by the browser; one that is refused is not.
  if (events.readyState === EventSource.CLOSED) end("sse", "");
};
