// What the pages can do better with JavaScript. Each of them works without.
//   data-live      a form or link whose answer replaces the content, so that focus, scroll and open details stay
//   data-cell      a cell of a draft, edited in place; a typed value is saved, or kept and marked as not saved
//   data-events    a panel that the server sends again as a job goes on
//   data-refresh   content that is loaded again after so many seconds
//   data-choose    a button that chooses the field of a column
//   data-drop, data-upload, data-submit   the choice of a file, its upload, a filter that applies at once
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const byId = (id) => (id ? document.getElementById(id) : null);
  document.documentElement.classList.add("js");

  function say(text) {
    const live = $("#live");
    live.textContent = "";
    setTimeout(() => (live.textContent = text), 60); // emptied first, so that the same text is said again
  }

  function complain(...parts) {
    $("#trouble")?.remove();
    const box = document.createElement("p");
    Object.assign(box, { id: "trouble", className: "flash problem", tabIndex: -1 });
    box.setAttribute("role", "alert");
    box.append(...parts);
    $("main").prepend(box);
    box.scrollIntoView({ block: "nearest" });
  }

  // ── cells ────────────────────────────────────────────────────────────────────────────────────────────────────────

  const kept = new Map(); // name → { value, was }: typed into a cell that the page shows no longer
  const underWay = new Map(); // name → value: sent, not answered yet
  let isSwapping = false;
  const cells = () => $$(".cell[name]");
  const isChanged = (cell) => cell.value !== cell.defaultValue;
  const isUnsent = (cell) => cell.value !== (underWay.get(cell.name) ?? cell.defaultValue);
  const was = (cell) => cell.dataset.was ?? cell.defaultValue; // what the person saw before the change
  const isUnsaved = () => kept.size > 0 || underWay.size > 0 || cells().some(isChanged);
  const place = (name) => {
    const [, row, column] = name.split("-");
    return `${$$(".rows thead th:not(.ours)")[column]?.textContent ?? ""}, row ${row}`;
  };

  function openCell(td) {
    const shown = $(".text", td);
    if (!shown) return $(".cell", td);
    const name = `cell-${td.dataset.cell}`;
    const field = document.createElement(shown.textContent.includes("\n") ? "textarea" : "input");
    field.className = "cell";
    field.id = field.name = name;
    field.setAttribute("form", "edit");
    field.setAttribute("aria-label", place(name));
    const why = $(".why", td);
    if (why?.id) field.setAttribute("aria-describedby", why.id);
    field.autocomplete = "off";
    field.spellcheck = false;
    field.defaultValue = shown.textContent;
    field.dataset.opened = "";
    shown.replaceWith(field);
    return field;
  }

  function closeCell(field) {
    const shown = document.createElement("span");
    shown.className = "text";
    shown.textContent = field.defaultValue;
    field.replaceWith(shown);
  }

  function markUnsaved() {
    const changed = cells().filter(isChanged);
    for (const cell of cells()) cell.closest("td").classList.toggle("unsaved", isChanged(cell));
    const note = $("#unsaved");
    if (!note) return;
    note.dataset.hint ??= note.innerText; // without what only pages without JavaScript show
    const count = changed.length + kept.size;
    note.textContent = count ? `${count} ${count === 1 ? "change is" : "changes are"} not saved yet.` : note.dataset.hint;
    if (kept.size) note.textContent += ` Of cells not shown here: ${[...kept].map(([name, { value }]) => `${place(name)}: “${value}”`).join("; ")}`;
  }

  document.addEventListener("click", (event) => {
    const td = event.target.closest("td[data-cell]");
    if (!td || event.target.closest("a, button, .cell") || String(getSelection())) return;
    const field = openCell(td);
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  });
  document.addEventListener("input", (event) => event.target.matches(".cell") && markUnsaved());
  document.addEventListener("change", (event) => {
    if (isSwapping) return;
    if (event.target.matches(".cell") && isUnsent(event.target)) byId("edit")?.requestSubmit();
    else if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });
  document.addEventListener("focusout", ({ target }) => {
    if (target.matches?.("[data-opened]") && !isChanged(target)) setTimeout(() => target.isConnected && closeCell(target));
  });
  document.addEventListener("keydown", (event) => {
    const cell = event.target;
    if (event.key !== "Escape" || !cell.matches(".cell")) return;
    const wasChanged = isChanged(cell);
    cell.value = cell.defaultValue;
    delete cell.dataset.was;
    markUnsaved();
    if (wasChanged) say("Not changed");
    if ("opened" in cell.dataset) {
      const next = $(".row-actions a, .row-actions button", cell.closest("tr"));
      closeCell(cell);
      next?.focus();
    }
  });
  addEventListener("beforeunload", (event) => isUnsaved() && event.preventDefault());

  // ── columns ──────────────────────────────────────────────────────────────────────────────────────────────────────

  function markNeeded() { // a field for which a column is chosen needs no value for all rows
    const chosen = new Set($$(".column-choice select").map((select) => select.value));
    for (const note of $$(".needed")) note.hidden = chosen.has(note.dataset.field);
  }
  document.addEventListener("change", (event) => event.target.matches(".column-choice select") && markNeeded());
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-choose]");
    if (!button) return;
    const select = byId(button.dataset.choose);
    select.value = button.value;
    select.focus();
    markNeeded();
  });

  // ── content replaced in place ────────────────────────────────────────────────────────────────────────────────────

  const address = () => location.pathname + location.search; // without the place in the page
  let loaded = address();
  let queue = Promise.resolve(true); // one request after the other; false: the last one was refused
  let refusals = 0;

  let release = () => {};
  let pressed = Promise.resolve(); // a page that changes under a pressed pointer would swallow the click
  addEventListener("pointerdown", () => (pressed = new Promise((resolve) => (release = resolve))), true);
  for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, () => setTimeout(release), true);

  // Sends a form, or loads an address. What was typed since then, or was refused, stays in its cell.
  async function load(url, { form, submitter, data, push = false, isQuiet = false } = {}) {
    const sent = new Map();
    const isEdit = form?.id === "edit";
    const isPost = form?.method === "post";
    if (isPost) {
      const version = $("main input[name=version]"); // an earlier request of the queue may have raised it
      if (version && data.has("version")) data.set("version", version.value);
    }
    if (isEdit) {
      for (const name of [...data.keys()]) if (/^(cell|was)-/.test(name)) data.delete(name);
      for (const [name, edit] of kept) sent.set(name, edit);
      for (const cell of cells().filter(isChanged)) sent.set(cell.name, { value: cell.value, was: was(cell) });
      kept.clear();
      for (const [name, edit] of sent) {
        data.set(name, edit.value);
        data.set(name.replace("cell-", "was-"), edit.was);
        underWay.set(name, edit.value);
      }
      if (!sent.size && !submitter?.name) return true;
    }
    const giveBack = () => {
      underWay.clear();
      for (const [name, edit] of sent) if (!byId(name)) kept.set(name, edit);
      markUnsaved();
    };
    let answer, page;
    try {
      answer = await send(url, form, data);
      if (isPost && answer.status === 403 && (await renewToken(data))) answer = await send(url, form, data);
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
    } catch {
      giveBack();
      complain(`The server does not answer. ${isUnsaved() ? "What you typed is still on this page: try" : "Try"} again in a moment.`);
      return false;
    }
    if (answer.status === 401 || $("#key", page)) {
      giveBack();
      const link = Object.assign(document.createElement("a"), { href: "/", target: "_blank", textContent: "Enter it in another tab" });
      complain("Not done: the server asks for its access key again, as after a restart. ", link, ", then repeat the step here.");
      return false;
    }
    if (!answer.ok || !$("main", page)) {
      giveBack();
      const words = $$("main h1, main .lead", page).map((part) => part.textContent.trim());
      complain(`Not done. ${words.join(": ") || `The server answered ${answer.status}.`}`);
      return false;
    }
    await Promise.race([pressed, new Promise((resolve) => setTimeout(resolve, 1000))]);
    const isRefused = Boolean($("#message.problem", page));
    const typed = new Map(isRefused ? [...sent].map(([name, edit]) => [name, { ...edit, isRefused }]) : []);
    for (const cell of cells())
      if (isChanged(cell) && cell.value !== sent.get(cell.name)?.value) typed.set(cell.name, { value: cell.value, was: was(cell) });
    underWay.clear();
    swap(page, { typed, sent, isLoad: !isPost, isQuiet, doneForm: isRefused ? null : form });
    if (push || new URL(answer.url).pathname !== location.pathname) history.pushState(null, "", answer.url);
    else history.replaceState(null, "", answer.url);
    loaded = address();
    return !isRefused;
  }

  function send(url, form, data) {
    const signal = AbortSignal.timeout(60000); // a lost connection must not hold up what comes after
    if (form?.method !== "post") return fetch(url, { signal });
    const body = form.enctype.startsWith("multipart") ? data : new URLSearchParams(data);
    return fetch(url, { method: "POST", signal, body, headers: { "X-Form-Token": data.get("token") ?? "" } });
  }

  // After a login in another tab, the token of this page is that of an earlier session.
  async function renewToken(data) {
    const answer = await send(location.href);
    const token = $("input[name=token]", new DOMParser().parseFromString(await answer.text(), "text/html"))?.value;
    if (!answer.ok || !token || token === data.get("token")) return false;
    data.set("token", token);
    for (const input of $$("input[name=token]")) input.value = token;
    return true;
  }

  function swap(page, { typed, sent, isLoad, isQuiet, doneForm }) {
    const focused = document.activeElement;
    const invalid = $$(".cell[aria-invalid]");
    const position = invalid.indexOf(focused?.closest("td")?.querySelector(".cell"));
    const selection = focused?.matches?.("input.cell, textarea.cell") ? [focused.selectionStart, focused.selectionEnd] : null;
    const isInside = $("main").contains(focused);
    const scroll = [scrollX, scrollY, $(".scroll")?.scrollLeft ?? 0, $(".scroll")?.scrollTop ?? 0];
    const opened = $$("details[open][id]").map((details) => details.id);

    const isNews = !isQuiet || document.title !== page.title;
    document.title = page.title;
    const filled = $$("main :is(input, textarea, select)[id]:not(.cell)").filter(
      (field) => field.form !== doneForm && (field.value !== field.defaultValue || field.checked !== field.defaultChecked),
    );

    isSwapping = true; // a field that is removed while it has the focus fires "change"
    $("#top").replaceWith($("#top", page));
    $("main").replaceWith($("main", page));
    isSwapping = false;
    for (const id of opened) byId(id)?.setAttribute("open", "");
    for (const { id, value, checked } of filled) if (byId(id)) Object.assign(byId(id), { value, checked });
    for (const [name, edit] of typed) {
      const td = $(`[data-cell="${name.slice(5)}"]`);
      const field = td && openCell(td);
      if (!field) kept.set(name, edit);
      else field.value = edit.value;
      if (field && !edit.isRefused) field.dataset.was = edit.was; // after a refusal, the person sees what is there now
    }
    markUnsaved();

    scrollTo(scroll[0], scroll[1]);
    if ($(".scroll") && !isLoad) [$(".scroll").scrollLeft, $(".scroll").scrollTop] = scroll.slice(2);
    if (isInside) {
      const [, row, column] = focused.name?.match(/^cell-(\d+)-(\d+)$/) ?? [];
      const isStillEdited = row && (!sent.has(focused.name) || typed.has(focused.name));
      const td = isStillEdited ? $(`[data-cell="${row}-${column}"]`) : null;
      const nowInvalid = $$(".cell[aria-invalid]");
      const target =
        (focused.dataset.edit && $(`#row-${focused.dataset.edit} .cell`)) ||
        [focused.id, focused.id.replace(/^out-/, "in-"), focused.id.replace(/^in-/, "out-")].map(byId).find((found) => found?.matches("a, button, input, select, textarea, summary, [tabindex]")) ||
        (td && openCell(td)) ||
        (position >= 0 && (nowInvalid[Math.min(position, nowInvalid.length - 1)] ?? byId("next"))) ||
        byId(`open-${row}`) || byId("message") || $("h1");
      target?.focus({ preventScroll: target.id === focused.id });
      if (selection && target?.id === focused.id) target.setSelectionRange?.(...selection);
    }
    const message = $("#message") ?? (isLoad && isNews && ($(".pager span") ?? $("h1")));
    if (message) say(message.textContent);
    start();
  }

  // What was asked for before the user saw that something was refused is not done.
  function enqueue(step) {
    const seen = refusals;
    queue = queue.catch(() => false).then(async () => {
      const isDone = seen === refusals && (await step());
      if (!isDone && seen === refusals) refusals += 1;
      return isDone;
    });
    return queue;
  }

  document.addEventListener("submit", (event) => {
    const { target: form, submitter } = event;
    if (!form.matches("main form") || event.defaultPrevented) return;
    if (!form.matches("[data-live]")) {
      if (isUnsaved() && byId("edit") && form.id !== "edit") {
        event.preventDefault(); // cells are saved first; then the form as it was filled
        const data = new FormData(form, submitter);
        enqueue(() => saveCells()).then((isDone) => isDone && submitPlainly(form, data));
      }
      return;
    }
    event.preventDefault();
    const data = new FormData(form, submitter);
    const isPost = form.method === "post";
    const url = new URL(submitter?.getAttribute("formaction") ?? form.getAttribute("action"), location.href);
    if (!isPost) url.search = String(new URLSearchParams(data));
    const isEdit = form.id === "edit";
    if (isEdit && !submitter?.name && !kept.size && !cells().some(isUnsent)) return; // Enter: the change has sent it
    enqueue(async () => {
      if (!isEdit && byId("edit") && isUnsaved() && !(await saveCells())) return false;
      submitter?.setAttribute("aria-disabled", "true");
      const isDone = await load(url, { form, submitter, data, push: !isPost });
      submitter?.removeAttribute("aria-disabled");
      // typed into cells that went off the page meanwhile
      return isDone && kept.size && byId("edit") ? saveCells() : isDone;
    });
  });

  function saveCells() {
    const form = byId("edit");
    return form && isUnsaved() ? load(new URL(form.getAttribute("action"), location.href), { form, data: new FormData(form) }) : true;
  }

  function submitPlainly(form, data) {
    const copy = document.createElement("form");
    copy.method = form.method;
    copy.action = form.getAttribute("action");
    const version = $("main input[name=version]");
    if (version && data.has("version")) data.set("version", version.value);
    for (const [name, value] of data) copy.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    document.body.append(copy);
    copy.submit();
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("main a[href], #top a[href]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || link.target || link.hasAttribute("download")) return;
    const isLive = link.matches("[data-live]");
    if (!isLive && !(byId("edit") && isUnsaved())) return;
    event.preventDefault();
    enqueue(async () => {
      if (byId("edit") && isUnsaved() && !(await saveCells())) return false;
      if (isLive) return load(link.href, { push: !link.dataset.edit });
      location.href = link.href;
      return true;
    });
  });
  addEventListener("popstate", () => address() !== loaded && enqueue(() => load(location.href)));

  // ── progress ─────────────────────────────────────────────────────────────────────────────────────────────────────

  const RECONNECT = 2000; // milliseconds
  let source, milestone, timer;

  function watch() {
    const panel = $("[data-events]");
    const url = panel?.dataset.events;
    if (source && (!url || !source.url.endsWith(url))) source = void source.close();
    if (!url || source) return;
    source = new EventSource(url);
    source.onopen = () => byId("lost") && (byId("lost").hidden = true);
    source.addEventListener("progress", (event) => update($("[data-events]"), event.data));
    source.addEventListener("ended", () => {
      source = void source.close();
      enqueue(() => load(location.href)).then((isDone) => isDone || setTimeout(watch, 3000));
    });
    source.onerror = () => {
      tell("lost");
      if (source?.readyState !== EventSource.CLOSED) return; // it connects again by itself
      source = undefined;
      setTimeout(reconnect, RECONNECT);
    };
  }

  function tell(id) {
    const note = byId(id);
    if (!note?.hidden) return;
    note.hidden = false;
    say(note.textContent);
  }

  // The server answers, but not with events: it may have been started again, and then knows the job no longer.
  async function reconnect() {
    if (source || !$("[data-events]")) return;
    const answer = await fetch(location.href).catch(() => null);
    if (answer?.ok) return enqueue(() => load(location.href));
    if (answer && answer.status < 500 && answer.status !== 401) return location.reload(); // to the page that says what is wrong
    if (answer?.status === 401) {
      byId("lost").hidden = true;
      tell("locked");
    }
    setTimeout(reconnect, RECONNECT); // the key may be entered in another tab
  }

  // Only parts that differ are replaced, so that Stop can be pressed at any moment.
  function update(panel, html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    for (const part of $$("[data-part]", fresh)) {
      const old = $(`[data-part="${part.dataset.part}"]`, panel);
      if (old && old.innerHTML.trim() !== part.innerHTML.trim()) old.replaceChildren(...part.childNodes);
      if (old && part.dataset.milestone) announce(part.dataset.milestone, $("[data-headline]", old).textContent);
    }
  }

  function announce(mark, headline) {
    const now = mark + headline.replace(/[\d.,]+/g, "");
    if (milestone !== undefined && milestone !== now) say(headline);
    milestone = now;
  }

  // ── a file ───────────────────────────────────────────────────────────────────────────────────────────────────────

  const bytes = (size) => (size < 1e6 ? `${Math.ceil(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`);

  function checkFile(input) {
    const file = input.files[0];
    const limit = Number(input.dataset.maxBytes);
    const isTooLarge = file && limit && file.size > limit;
    $("#file-problem").textContent = isTooLarge ? `${file.name} has ${bytes(file.size)}; this server takes at most ${bytes(limit)}.` : "";
    if (isTooLarge) input.value = "";
    return file && !isTooLarge;
  }

  const dragsFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  for (const kind of ["dragover", "dragleave", "drop"])
    document.addEventListener(kind, (event) => {
      const zone = $("[data-drop]");
      if (!dragsFile(event)) return;
      event.preventDefault(); // else the browser would leave the page, and open the file
      if (!zone) {
        if (kind === "dragover") event.dataTransfer.dropEffect = "none";
        return;
      }
      zone.classList.toggle("over", kind === "dragover");
      if (kind !== "drop") return;
      const { files } = event.dataTransfer;
      if (files.length > 1) {
        $("#file-problem").textContent = `${files.length} files were dropped; give one at a time.`;
        return;
      }
      const input = $("input[type=file]", zone);
      input.files = files;
      if (checkFile(input)) {
        byId("give").focus();
        say(`${input.files[0].name} is chosen.`);
      }
    });
  document.addEventListener("change", (event) => event.target.matches("[data-drop] input") && checkFile(event.target));

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-upload]")) return;
    event.preventDefault();
    const request = new XMLHttpRequest(); // fetch does not tell how much is sent
    const bar = $("progress", form);
    bar.parentElement.hidden = false;
    request.upload.onprogress = ({ loaded, total }) => (bar.value = (100 * loaded) / total);
    request.onload = () => {
      if (request.status < 400) return location.assign(request.responseURL);
      bar.parentElement.hidden = true;
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      complain($$("main h1, main .lead, main .flash", page).map((part) => part.textContent.trim()).join(": ") || `The server answered ${request.status}.`);
    };
    request.onerror = () => {
      bar.parentElement.hidden = true;
      complain("The upload broke off. The file may be too large for this server, or the server has stopped. Try again.");
    };
    request.open("POST", form.action);
    request.setRequestHeader("X-Form-Token", form.elements.token.value);
    request.send(new FormData(form));
  });

  function refresh() {
    enqueue(() => load(location.href, { isQuiet: true })).then((isDone) => isDone || start());
  }

  function start() {
    watch();
    clearTimeout(timer);
    const seconds = Number($("main").dataset.refresh);
    if (seconds && !$("[data-events]")) timer = setTimeout(refresh, 1000 * seconds);
  }
  start();
})();
