// Keeps a frame current: every few minutes, and when a toggle of the legend is pressed, without losing the
// reader's place. After its link was revoked it shows that and no calendar. Where the page may not be fetched
// (a sandboxed frame), it is loaded whole.
"use strict";
(() => {
  const seconds = Number(document.querySelector("main").dataset.refresh);
  const said = document.getElementById("said");

  const reachable = () => [...document.querySelectorAll("main :is(a, summary, input)")];
  const same = (one, other) =>
    one.tagName === other.tagName && one.getAttribute("href") === other.getAttribute("href") && one.value === other.value;

  const place = () => ({
    focused: document.activeElement,
    at: reachable().indexOf(document.activeElement),
    open: new Map([...document.querySelectorAll("details")].map((one) => [one.id, one.open])),
  });

  const restore = (was) => {
    for (const one of document.querySelectorAll("details")) one.open = was.open.get(one.id) ?? one.open;
    if (was.at < 0) return;
    const all = reachable();
    const again = all.find((one) => same(one, was.focused)) || all[Math.min(was.at, all.length - 1)];
    again?.focus({ preventScroll: true });
  };

  const swap = (fetched) => {
    const was = place();
    for (const part of ["main", "footer"]) {
      const [old, fresh] = [document.querySelector(part), fetched.querySelector(part)];
      if (fresh && old.innerHTML !== fresh.innerHTML) old.replaceChildren(...fresh.childNodes);
    }
    document.title = fetched.title;
    restore(was);
  };

  const page = async (url) => {
    const response = await fetch(url, { headers: { Accept: "text/html" } });
    if (!response.ok && ![404, 410].includes(response.status)) return null;
    const fetched = new DOMParser().parseFromString(await response.text(), "text/html");
    return fetched.getElementById("main") ? fetched : null; // none: not from this server, a proxy answers for it
  };

  let latest = 0;
  const refresh = async () => {
    if (document.hidden) return;
    const mine = ++latest;
    try {
      const fetched = await page(location.href);
      if (fetched && mine === latest) swap(fetched);
    } catch {
      // Without a connection what is shown stays, with the time it was read.
      if (window.origin === "null" && navigator.onLine) location.reload();
    }
  };

  const narrow = async (form) => {
    const mine = ++latest;
    const url = `${location.pathname}?${new URLSearchParams(new FormData(form))}`;
    const fetched = await page(url).catch(() => null);
    if (mine !== latest) return;
    if (!fetched) return location.assign(url);
    history.replaceState(null, "", url);
    swap(fetched);
    said.textContent = document.getElementById("shown")?.textContent || "";
  };

  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form?.matches("[data-legend]")) narrow(form);
  });
  document.addEventListener("submit", (event) => {
    event.preventDefault();
    narrow(event.target);
  });
  if (seconds) {
    setInterval(refresh, seconds * 1000);
    document.addEventListener("visibilitychange", refresh);
  }
})();
