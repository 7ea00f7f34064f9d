// Refreshes a frame every few minutes without losing the reader's place. After its link was revoked it shows
// that and no calendar. Where the page may not be fetched (a sandboxed frame), it is reloaded.
"use strict";
(() => {
  const seconds = Number(document.querySelector("main").dataset.refresh);

  const place = () => {
    const links = [...document.querySelectorAll("main a, main summary")];
    return {
      focus: links.indexOf(document.activeElement),
      href: document.activeElement.getAttribute("href"),
      open: [...document.querySelectorAll("details[open]")].map((one) => one.id),
    };
  };

  const restore = (was) => {
    for (const id of was.open) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
    if (was.focus < 0) return;
    const links = [...document.querySelectorAll("main a, main summary")];
    const same = links.find((link) => was.href && link.getAttribute("href") === was.href);
    (same || links[Math.min(was.focus, links.length - 1)]).focus({ preventScroll: true });
  };

  const refresh = async () => {
    if (document.hidden) return;
    let response;
    try {
      response = await fetch(location.href, { headers: { Accept: "text/html" } });
    } catch {
      if (window.origin === "null" && navigator.onLine) location.reload();
      return; // no connection: keep what is shown, with the time it was read
    }
    if (!response.ok && ![404, 410].includes(response.status)) return;
    const fetched = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!fetched.getElementById("main")) return; // not from this server: a proxy answers for it
    const was = place();
    for (const part of ["main", "footer"]) {
      const [old, fresh] = [document.querySelector(part), fetched.querySelector(part)];
      if (fresh && old.innerHTML !== fresh.innerHTML) old.replaceChildren(...fresh.childNodes);
    }
    document.title = fetched.title;
    restore(was);
  };

  setInterval(refresh, seconds * 1000);
  document.addEventListener("visibilitychange", refresh);
})();
