// The address of the page, #view/ID?name=value, is all of its state: so reload, Back and a link to a colleague work.

export function read() {
  const [path, query = ""] = location.hash.slice(1).split("?");
  const [view, id = ""] = path.split("/");
  return { view: view || "now", id: decoded(id), params: new URLSearchParams(query) };
}

const decoded = text => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/** Return the address with some changes to the present one. An empty parameter is left out. */
export function address({ view, id, params = {} }) {
  const present = read();
  const query = present.params;
  for (const [name, value] of Object.entries(params)) value ? query.set(name, value) : query.delete(name);
  const path = [view ?? present.view, encodeURIComponent(id ?? present.id)].filter(Boolean).join("/");
  return `#${path}${query.size ? `?${query}` : ""}`;
}

/** Go to another address. To `replace` it leaves nothing behind for Back, as while a person types. */
export function go(changes, { replace = false } = {}) {
  const next = address(changes);
  if (next === location.hash) return;
  if (!replace) return void (location.hash = next);
  history.replaceState(null, "", next);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
