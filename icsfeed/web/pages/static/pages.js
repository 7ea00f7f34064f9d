// Copy buttons, and a form of filters and of what a frame shows, whose effect is seen at once.
"use strict";
(() => {
  const said = document.getElementById("said");

  const copy = async (field) => {
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      field.select(); // the clipboard API needs https (or localhost)
      document.execCommand("copy");
    }
  };

  const offer = () => {
    for (const button of document.querySelectorAll("[data-copy][hidden]")) {
      button.hidden = false;
      const name = button.textContent;
      button.addEventListener("click", async () => {
        await copy(document.getElementById(button.dataset.copy));
        button.textContent = said.textContent = button.dataset.done;
        setTimeout(() => { button.textContent = name; said.textContent = ""; }, 2500);
      });
    }
  };

  const address = (form) => {
    const chosen = [...new FormData(form)].filter(([, value]) => value !== "");
    return `${location.pathname}?${new URLSearchParams(chosen)}`;
  };

  let latest = 0;
  const show = async (form) => {
    const mine = ++latest;
    const url = address(form);
    const answer = await fetch(url, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!answer || mine !== latest) return;
    const news = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine !== latest) return;
    const warned = news.querySelector(".build [role=alert]");
    form.querySelector("[role=alert]")?.remove();
    if (warned) form.prepend(warned);
    for (const part of document.querySelectorAll("[data-live]")) {
      const fresh = news.getElementById(part.id);
      if (fresh && fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes);
    }
    if (answer.ok) history.replaceState(null, "", url);
    offer();
  };

  offer();
  const form = document.getElementById("filter");
  if (form) {
    // Some of its fields are in another section of the page.
    document.addEventListener("change", (event) => { if (event.target.form === form) show(form); });
    form.addEventListener("submit", (event) => { event.preventDefault(); show(form); });
  }
})();
