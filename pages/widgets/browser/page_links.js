// Keeps the links to pages equal to the address: what a click in a part of a page has changed is
// in them at once, for whoever opens one in a new tab. On a phone the sidebar closes after a choice.
// What the page is about is kept for pictures that are saved.

// Where a link leads with what is looked at now; one that changes fields stays as it is.
export function withView(href, search, origin) {
  const url = new URL(href, origin);
  if (url.searchParams.has("set")) return href;
  url.search = search;
  return url.pathname + url.search;
}

function follow() {
  for (const link of document.querySelectorAll("[data-testid=stPageLink-NavLink]")) {
    const wanted = withView(link.getAttribute("href"), location.search, location.href);
    if (link.getAttribute("href") !== wanted) link.setAttribute("href", wanted);
  }
}

// Streamlit lays the sidebar over the page up to this width.
const COVERS_BELOW = 768;

// Whether a click leads to a page that the sidebar lies over.
export function leadsUnder(link, width) {
  return link !== null && width <= COVERS_BELOW;
}

// Where a step leads to another page, Streamlit writes two entries into the history: what is looked at, and
// then the page. So much time lies between them at the most; nobody clicks twice as quickly.
const ONE_STEP_MS = 700;

// Whether an entry only completes the one before, so that it takes its place.
export function completes(to, from, since) {
  return since < ONE_STEP_MS && to.search === from.search && to.pathname !== from.pathname;
}

function uncover({ target }) {
  if (!leadsUnder(target.closest(".st-key-page_links a[href]"), innerWidth)) return;
  document.querySelector("[data-testid=stSidebarCollapseButton] button")?.click();
}

const watching = new WeakSet();

export default function ({ data, parentElement }) {
  window.inlookAbout = data.about;
  follow();
  if (watching.has(parentElement)) return undefined;
  watching.add(parentElement);
  const { pushState, replaceState } = history;
  let pushed = -ONE_STEP_MS;
  history.pushState = (...given) => {
    const to = new URL(given[2] ?? "", location.href);
    const isSecond = completes(to, location, performance.now() - pushed);
    if (to.search !== location.search) pushed = performance.now();
    (isSecond ? replaceState : pushState).apply(history, given);
    follow();
  };
  history.replaceState = (...given) => {
    replaceState.apply(history, given);
    follow();
  };
  const observer = new MutationObserver(follow);
  document.addEventListener("click", uncover);
  observer.observe(document.body, { subtree: true, attributes: true, attributeFilter: ["href"] });
  return () => {
    observer.disconnect();
    document.removeEventListener("click", uncover);
    history.pushState = pushState;
    history.replaceState = replaceState;
    watching.delete(parentElement);
  };
}
