// The frame of the page: where one is, who is signed in, light or dark.
import { render, type JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { AccountPage } from './account';
import { signOut, whenSignedOut, whoAmI, type Session } from './api';
import { MarketsPage } from './markets';
import { serverPages } from './server';
import { MePage } from './password';
import { NewsPage } from './records';
import { SignIn } from './sign_in';
import { markets, type Link } from './streams';

interface Page { path: string; title: string; right?: string }

const pages: Page[] = [
  { path: 'markets', title: 'Markets' },
  { path: 'account', title: 'Account', right: 'account' },
  { path: 'news', title: 'News' },
  ...serverPages.map((page) => ({ path: page.path, title: page.title, right: page.right })),
];

const here = (): string => location.hash.replace(/^#\/?/, '') || 'markets';

type Theme = 'system' | 'light' | 'dark';

function storedTheme(): Theme {
  const kept = localStorage.getItem('theme');
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

function applyTheme(theme: Theme): void {
  if (theme === 'system') {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem('theme');
  } else {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem('theme', theme);
  }
  window.dispatchEvent(new Event('theme'));
}

function ThemeSwitch(): JSX.Element {
  const [theme, set] = useState(storedTheme());
  return (
    <label class="theme">
      <span class="unseen">Colours</span>
      <select value={theme} onChange={(event) => {
        const chosen = event.currentTarget.value as Theme;
        applyTheme(chosen);
        set(chosen);
      }}>
        <option value="system">System</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  );
}

function LinkState(): JSX.Element {
  const [link, set] = useState<Link>('connecting');
  useEffect(() => markets.watch(set), []);
  const text = { connecting: 'Connecting', live: 'Live', lost: 'Connection lost, trying again' }[link];
  return <span class={`link ${link === 'lost' ? 'bad' : 'good'}`} role="status">{text}</span>;
}

// Letters that go somewhere, when no field has the focus.
const keys: Record<string, string> = { m: 'markets', a: 'account', o: 'overview', h: 'health', l: 'alerts', d: 'data' };

function App(): JSX.Element {
  const [path, setPath] = useState(here());
  const [session, setSession] = useState<Session | undefined>();
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const moved = (): void => {
      setPath(here());
      setOpen(false);
      document.getElementById('main')?.focus();
    };
    const key = (event: KeyboardEvent): void => {
      const field = event.target instanceof HTMLElement && event.target.closest('input, select, textarea');
      const target = keys[event.key];
      if (target && !field && !event.ctrlKey && !event.metaKey && !event.altKey) location.hash = `#/${target}`;
    };
    const ask = (): void => { whoAmI().then(setSession, () => { setSession({ signed_in: false, users: true, keys: true }); }); };
    window.addEventListener('hashchange', moved);
    window.addEventListener('keydown', key);
    whenSignedOut(ask);
    ask();
    return () => {
      window.removeEventListener('hashchange', moved);
      window.removeEventListener('keydown', key);
    };
  }, []);
  const first = path.split('/')[0] ?? '';
  const page = pages.find((one) => one.path === first);
  useEffect(() => { document.title = `${page?.title ?? (first === 'me' ? 'My sign-in' : 'Sign in')} · Tenon`; }, [page, first]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => {
        event.preventDefault();
        document.getElementById('main')?.focus();
      }}>Skip to the content</a>
      <header>
        <a class="brand" href="#/markets">Tenon</a>
        <button type="button" class="plain menu" aria-expanded={open} aria-controls="pages" onClick={() => { setOpen(!open); }}>Menu</button>
        <nav id="pages" class={open ? 'open' : ''} aria-label="Pages">
          <ul>
            {pages.map((one) => (
              <li key={one.path}><a href={`#/${one.path}`} aria-current={one.path === first ? 'page' : undefined}>{one.title}</a></li>
            ))}
          </ul>
        </nav>
        <div class="tools">
          <LinkState />
          <ThemeSwitch />
          {session?.signed_in
            ? <><a class="name" href="#/me">{session.name}</a> <button type="button" class="plain" onClick={() => { signOut().then(setSession, () => { setSession({ signed_in: false, users: true, keys: true }); }); }}>Sign out</button></>
            : <a href="#/sign-in">Sign in</a>}
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {session === undefined
          ? <p class="quiet" role="status">Loading…</p>
          : <Content path={path} first={first} page={page} session={session} onSession={setSession} />}
      </main>
      <footer>
        <a href="/status">Status</a> <a href="/metrics">Metrics</a> <a href="/api/openapi.json">API</a>
        {' '}<span>Charts by <a href="https://www.tradingview.com/" rel="noreferrer">TradingView</a> (<a href={document.querySelector<HTMLLinkElement>('link[rel=license]')?.href ?? '/'}>licences</a>)</span>
      </footer>
    </>
  );
}

function Content({ path, first, page, session, onSession }: {
  path: string; first: string; page: Page | undefined; session: Session; onSession: (session: Session) => void;
}): JSX.Element {
  if (first === 'markets') return <MarketsPage symbol={path.split('/')[1]} session={session} />;
  if (first === 'sign-in') {
    return <SignIn session={session} onSession={(now) => {
      onSession(now);
      location.hash = '#/markets';
    }} />;
  }
  if (first === 'me' && session.signed_in) return <><h1>My sign-in</h1><MePage session={session} onSession={onSession} /></>;
  if (first === 'me') return <><h1>My sign-in</h1><SignIn session={session} onSession={onSession} inside /></>;
  if (!page) return <><h1>Not found</h1><p>There is no such page. <a href="#/markets">Markets</a></p></>;
  if (!session.signed_in) return <><h1>{page.title}</h1><SignIn session={session} onSession={onSession} inside /></>;
  if (page.right && !session.rights?.includes(page.right)) {
    return <><h1>{page.title}</h1><p class="quiet" role="status">Your role does not allow this.</p></>;
  }
  if (first === 'news') return <><h1>News</h1><NewsPage /></>;
  if (first === 'account') return <AccountPage session={session} />;
  const View = serverPages.find((one) => one.path === first)?.view;
  return View ? <><h1>{page.title}</h1><View session={session} /></> : <p>There is no such page.</p>;
}

applyTheme(storedTheme());
const root = document.getElementById('app');
if (root) render(<App />, root);
