"""Thunderbird as a reader of an account: a running one, driven through its port for tests (Marionette).

Prints what evolution.py prints, and before that what Thunderbird finds by the address of the server.
"""

import json
import sys
from typing import Any

from marionette_driver.marionette import Marionette  # type: ignore[import-not-found, import-untyped, unused-ignore]

PREPARED = """
const {cal} = ChromeUtils.importESModule("resource:///modules/calendar/calUtils.sys.mjs");
const wait = () => new Promise(done => setTimeout(done, 100));
const own = () => cal.manager.getCalendars().find(one => one.name == "Plane");
async function titles(word) {
  let found = [];
  for (let time = 0; time < 200; time++) {
    const all = Ci.calICalendar.ITEM_FILTER_ALL_ITEMS;
    found = (await own().getItemsAsArray(all, 0, null, null)).map(one => one.title);
    if (found.some(one => one.includes(word))) break;
    await wait();
  }
  return {titles: found.sort(), read_only: own().readOnly};
}
const finish = (work, done) => work().then(done, error => done({error: String(error)}));
"""
FIND = """
const [base, user, password, done] = arguments;
finish(async () => {
  const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  login.init(base, null, "icsfeed calendars", user, password, "", "");
  await Services.logins.addLoginAsync(login);
  const found = await cal.provider.detection.detect(user, password, `${base}/dav/`, false, [], {});
  const calendars = [...found.values()].flat();
  return calendars.map(one => ({address: one.uri.spec, read_only: one.readOnly}));
}, done);
"""
ADD = """
const [address, user, done] = arguments;
finish(async () => {
  const calendar = cal.manager.createCalendar("caldav", Services.io.newURI(address));
  calendar.name = "Plane";
  calendar.setProperty("username", user);
  cal.manager.registerCalendar(calendar);
  return titles("");
}, done);
"""
REFRESH = """
const [word, done] = arguments;
finish(async () => { own().refresh(); return titles(word); }, done);
"""
CHANGE = """
const [done] = arguments;
finish(async () => {
  const [item] = await own().getItemsAsArray(Ci.calICalendar.ITEM_FILTER_ALL_ITEMS, 0, null, null);
  const changed = item.clone();
  changed.title = "Changed by an app";
  try { await own().modifyItem(changed, item); } catch (error) { return {refused: String(error.message)}; }
  return {refused: ""};
}, done);
"""
QUIT = "Services.startup.quit(Ci.nsIAppStartup.eForceQuit)"


def main(port: str, base: str, user: str, password: str) -> None:
    browser = Marionette(host="127.0.0.1", port=int(port), startup_timeout=60)
    browser.raise_for_port(timeout=60)
    browser.start_session()
    browser.set_context(browser.CONTEXT_CHROME)
    browser.timeout.script = 60

    def run(script: str, *given: str) -> Any:
        return browser.execute_async_script(PREPARED + script, list(given), new_sandbox=False)

    def say(facts: object) -> None:
        sys.stdout.write(f"{json.dumps(facts)}\n")
        sys.stdout.flush()

    found = run(FIND, base, user, password)
    say(found)
    say(run(ADD, found[0]["address"], user))
    say(run(REFRESH, sys.stdin.readline().strip()))
    say(run(CHANGE))
    browser.execute_script(QUIT)


main(*sys.argv[1:])
