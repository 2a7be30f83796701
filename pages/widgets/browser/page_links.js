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
  const followed =
    (change) =>
    (...given) => {
      change.apply(history, given);
      follow();
    };
  history.pushState = followed(pushState);
  history.replaceState = followed(replaceState);
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
