// Keeps the links to pages equal to the address: what a click in a part of a page has changed is
// in them at once, for whoever opens one in a new tab.

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

const watching = new WeakSet();

export default function ({ parentElement }) {
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
  observer.observe(document.body, { subtree: true, attributes: true, attributeFilter: ["href"] });
  return () => {
    observer.disconnect();
    history.pushState = pushState;
    history.replaceState = replaceState;
    watching.delete(parentElement);
  };
}
