"use strict";

// Uploads with progress, and deletions. Without this, the form still sends files.
{
  // A browser has six connections to a server; half of them are left for the page.
  const AT_ONCE = 3;

  const picker = document.getElementById("file");
  const choose = document.getElementById("choose");
  const transfers = document.getElementById("transfers");
  const news = document.getElementById("news");
  const drop = document.getElementById("drop");
  const question = document.getElementById("question");
  const listing = document.getElementById("listing");

  const say = (text) => { news.textContent = text; };
  const quoted = (name) => `“\u2068${name}\u2069”`; // whichever way it is written

  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  // One file on its way: its name, how far it is, what can be done about it.
  class Line {
    constructor(name) {
      this.name = name;
      this.progress = make("progress", { max: 1, value: 0, ariaLabel: name });
      this.note = make("span", { className: "note" });
      this.buttons = make("span", { className: "buttons" });
      this.row = make("li", {}, make("bdi", {}, name), this.progress, this.note, this.buttons);
      transfers.append(this.row);
    }

    show(state, note, actions = {}) {
      const hadFocus = this.buttons.contains(document.activeElement);
      this.row.className = state;
      this.note.textContent = note;
      this.buttons.replaceChildren(...Object.entries(actions).map(([text, onclick]) =>
        make("button", { type: "button", ariaLabel: `${text} ${this.name}`, onclick }, text)));
      if (hadFocus) (this.buttons.firstChild ?? choose).focus();
      return state;
    }

    advance(share) {
      this.progress.value = share;
      this.note.textContent = share < 1 ? `${Math.floor(share * 100)} %` : "finishing";
    }

    mayReplace() {
      say(`${quoted(this.name)} is there already.`);
      return new Promise((resolve) => {
        const answer = (choice) => () => resolve(choice);
        this.show("asking", "is there already", { Replace: answer(true), Keep: answer(false) });
      });
    }
  }

  // Only so many at once; the others wait for their turn, or until they are cancelled.
  let free = AT_ONCE;
  const waiting = new Set();

  async function inTurn(signal, work) {
    if (free > 0) free -= 1;
    else {
      await new Promise((resolve, reject) => {
        waiting.add(resolve);
        signal.addEventListener("abort", () => {
          if (waiting.delete(resolve)) reject(signal.reason);
        });
      });
    }
    try {
      return await work();
    } finally {
      const [next] = waiting; // the one that has waited longest
      waiting.delete(next);
      if (next) next();
      else free += 1;
    }
  }

  // XMLHttpRequest, because fetch does not tell how much has been sent.
  function put(file, condition, line, signal) {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const request = new XMLHttpRequest();
      request.open("PUT", `./${encodeURIComponent(file.name)}`);
      if (condition) request.setRequestHeader("If-None-Match", condition);
      request.upload.onprogress = ({ loaded, total }) => line.advance(total ? loaded / total : 1);
      request.onload = () => resolve(new Response(request.response || null, {
        status: request.status,
        statusText: request.statusText,
        headers: { "Content-Type": request.getResponseHeader("Content-Type") ?? "" },
      }));
      request.onerror = () => reject(new Error("the connection was lost"));
      request.onabort = () => reject(signal.reason);
      signal.addEventListener("abort", () => request.abort());
      request.send(file);
    });
  }

  // What went wrong, in the server's words if it has any.
  async function reason(answer) {
    const isText = answer.headers.get("Content-Type")?.startsWith("text/plain");
    const said = isText ? (await answer.text()).split("\n")[0] : "";
    return said || `${answer.status} ${answer.statusText}`;
  }

  // One file from its choice to its end, which is how it is counted.
  async function upload(file, line, isThere) {
    const cancel = new AbortController();
    const actions = { Cancel: () => cancel.abort() };
    try {
      // What is listed needs no sending to know that there is a question.
      let replace = isThere;
      if (replace && !(await line.mayReplace())) return line.show("kept", "kept as it was");
      for (;;) {
        line.show("open", "waiting", actions);
        const condition = replace ? null : "*"; // only if there is none (RFC 9110 13.1.2)
        const answer = await inTurn(cancel.signal, () => put(file, condition, line, cancel.signal));
        if (answer.ok) return line.show("uploaded", "uploaded");
        if (answer.status !== 412 || replace) return line.show("failed", await reason(answer));
        line.progress.value = 0;
        if (!(await line.mayReplace())) return line.show("kept", "kept as it was");
        replace = true;
      }
    } catch (error) {
      if (cancel.signal.aborted) return line.show("cancelled", "cancelled");
      return line.show("failed", error.message);
    }
  }

  async function add(dropped) {
    transfers.querySelectorAll(":scope > :not(.open, .asking)").forEach((row) => row.remove());
    say(`Uploading ${dropped.length} file${dropped.length === 1 ? "" : "s"}.`);
    const links = document.querySelectorAll('#entries a:not([href$="/"])');
    const there = new Set(Array.from(links, (link) => link.textContent));
    const lines = dropped.map(({ name }) => new Line(name));
    transfers.scrollIntoView({ block: "nearest" });
    const ends = await Promise.all(dropped.map(({ name, file }, i) =>
      file ? upload(file, lines[i], there.has(name)) : lines[i].show("failed", "is a folder")));
    const also = await refresh(dropped.filter((_, i) => ends[i] === "uploaded"));
    transfers.querySelectorAll(".uploaded").forEach((row) => row.remove());
    const count = (end) => ends.filter((other) => other === end).length;
    const counts = Array.from(new Set(ends), (end) => `${count(end)} ${end}`);
    say(`${counts.join(", ")}.${also}`);
  }

  // The listing as it is now, in place of the one shown; what is new stands out. Returns
  // what there is to complain about.
  async function refresh(added = []) {
    try {
      const answer = await fetch("./", { headers: { Accept: "text/html" }, cache: "no-cache" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ["summary", "listing"]) {
        document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
      }
    } catch {
      return " The list could not be loaded again.";
    }
    document.dispatchEvent(new Event("listing"));
    const names = new Set(added.map(({ name }) => name));
    for (const link of document.querySelectorAll("#entries a")) {
      if (names.has(link.textContent)) link.closest("tr").classList.add("fresh");
    }
    return "";
  }

  function isSure(name) {
    question.querySelector("bdi").textContent = name;
    question.returnValue = "";
    question.showModal();
    return new Promise((resolve) => {
      question.onclose = () => resolve(question.returnValue === "delete");
    });
  }

  async function remove(row) {
    const link = row.querySelector("a");
    const name = link.textContent;
    if (!(await isSure(name))) return;
    try {
      const answer = await fetch(link.href, { method: "DELETE" });
      if (!answer.ok && answer.status !== 404) throw new Error(await reason(answer));
    } catch (error) {
      say(`${quoted(name)} was not deleted: ${error.message}`);
      return;
    }
    const next = row.nextElementSibling?.querySelector("a").getAttribute("href");
    say(`${quoted(name)} was deleted.${await refresh()}`);
    const links = Array.from(document.querySelectorAll("#entries a"));
    (links.find((other) => other.getAttribute("href") === next) ?? links.at(-1) ?? choose).focus();
  }

  choose.addEventListener("click", () => picker.click());
  picker.addEventListener("change", () => {
    const chosen = Array.from(picker.files, (file) => ({ name: file.name, file }));
    picker.value = "";
    if (chosen.length) add(chosen);
  });

  listing.addEventListener("click", (event) => {
    const pressed = event.target.closest("#entries button");
    if (pressed) remove(pressed.closest("tr"));
  });

  for (const type of ["dragenter", "dragover"]) {
    addEventListener(type, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      drop.hidden = false;
    });
  }
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) drop.hidden = true;
  });
  addEventListener("drop", (event) => {
    if (drop.hidden) return;
    event.preventDefault();
    drop.hidden = true;
    // Folders look like files, but cannot be read as such.
    add(Array.from(event.dataTransfer.items).filter((item) => item.kind === "file").map((item) => {
      const file = item.getAsFile();
      return { name: file.name, file: item.webkitGetAsEntry()?.isDirectory ? null : file };
    }));
  });

  addEventListener("beforeunload", (event) => {
    if (transfers.querySelector(".open")) event.preventDefault();
  });
}
