// Signing in: by the name and password of a local user, or by an API key and its secret, or its private key.
import type { JSX, TargetedEvent } from 'preact';
import { useState } from 'preact/hooks';
import { signIn, signInByKey, type Session } from './api';

export function SignIn({ session, onSession, inside = false }: {
  session: Session; onSession: (session: Session) => void; inside?: boolean;
}): JSX.Element {
  const [byKey, setByKey] = useState(session.users === false);
  const [said, say] = useState('');
  const [busy, setBusy] = useState(false);
  const send = (event: TargetedEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    setBusy(true);
    say('');
    const name = String(fields.get('name'));
    const secret = String(fields.get('secret'));
    const asked = !byKey ? signIn({ user: name, password: secret })
      : secret.includes('PRIVATE KEY') ? signInByKey(name, secret) : signIn({ api_key: name, secret });
    asked.then((now) => {
      form.reset();
      onSession(now);
    }, (error: unknown) => { say(error instanceof Error ? error.message : 'It failed.'); })
      .finally(() => { setBusy(false); });
  };
  const Title = inside ? 'h2' : 'h1';
  return (
    <section class="sign-in">
      <Title>Sign in</Title>
      <form onSubmit={send}>
        <fieldset class="choice">
          <legend>With</legend>
          <label><input type="radio" name="way" checked={!byKey} onChange={() => { setByKey(false); }} disabled={session.users === false} /> a user's password</label>
          <label><input type="radio" name="way" checked={byKey} onChange={() => { setByKey(true); }} disabled={session.keys === false} /> an API key</label>
        </fieldset>
        <label>{byKey ? 'API key' : 'User'}
          <input name="name" required autoComplete={byKey ? 'off' : 'username'} autoCapitalize="none" spellcheck={false} />
        </label>
        <label>{byKey ? 'Secret' : 'Password'}
          <input name="secret" type="password" required autoComplete={byKey ? 'off' : 'current-password'} />
        </label>
        <button type="submit" disabled={busy}>{busy ? 'Working…' : 'Sign in'}</button>
        <p class="bad said" role="alert">{said}</p>
      </form>
      <p class="quiet">Users are made with <code>tenon users add --name NAME --roles trader --accounts demo</code>, keys with <code>tenon keys create</code>. For an Ed25519 key the secret is the private key in PEM; it stays in this browser.</p>
    </section>
  );
}
