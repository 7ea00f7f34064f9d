// Keeps a frame up to date: looks for news every few minutes and puts it in, without losing the
// reader's place; a link that was taken back shows nothing any more. Where the page may not be fetched (a sandboxed frame), it is loaded anew.
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

  const look = async () => {
    if (document.hidden) return;
    let answer;
    try {
      answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    } catch {
      if (window.origin === "null" && navigator.onLine) location.reload();
      return; // no connection: what is shown stays, with the time it was read
    }
    if (!answer.ok && ![404, 410].includes(answer.status)) return;
    const news = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!news.getElementById("main")) return; // not of this server: a proxy's word is no news
    const was = place();
    for (const part of ["main", "footer"]) {
      const [old, fresh] = [document.querySelector(part), news.querySelector(part)];
      if (fresh && old.innerHTML !== fresh.innerHTML) old.replaceChildren(...fresh.childNodes);
    }
    document.title = news.title;
    restore(was);
  };

  setInterval(look, seconds * 1000);
  document.addEventListener("visibilitychange", look);
})();
