// One's own sign-in: who one is here, and another password.
import type { JSX, TargetedEvent } from 'preact';
import { useState } from 'preact/hooks';
import { changePassword, type Session } from './api';

export function MePage({ session, onSession }: { session: Session; onSession: (session: Session) => void }): JSX.Element {
  const [said, say] = useState<{ text: string; bad: boolean }>({ text: '', bad: false });
  const [busy, setBusy] = useState(false);
  const send = (event: TargetedEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    if (fields.get('new') !== fields.get('again')) {
      say({ text: 'The new password was not typed alike twice.', bad: true });
      return;
    }
    setBusy(true);
    say({ text: '', bad: false });
    changePassword({ old: fields.get('old'), new: fields.get('new') }).then((now) => {
      form.reset();
      onSession(now);
      say({ text: 'Changed. All other sessions have ended.', bad: false });
    }, (error: unknown) => { say({ text: error instanceof Error ? error.message : 'It failed.', bad: true }); })
      .finally(() => { setBusy(false); });
  };
  return (
    <>
      <p>Signed in as {session.name}, with the roles {(session.roles ?? []).join(', ')}{(session.accounts ?? []).length > 0 ? `, for ${(session.accounts ?? []).join(', ')}` : ''}.</p>
      <section class="sign-in">
        <h2>Change the password</h2>
        {session.user === false
          ? <p class="quiet">An API key has no password. Make another one with <code>tenon keys create</code> and revoke this one.</p>
          : (
            <form onSubmit={send}>
              <label>Old password <input name="old" type="password" required maxLength={256} autoComplete="current-password" /></label>
              <label>New password (12 characters or more) <input name="new" type="password" required minLength={12} maxLength={256} autoComplete="new-password" /></label>
              <label>The new one again <input name="again" type="password" required autoComplete="new-password" /></label>
              <button type="submit" disabled={busy}>{busy ? 'Working…' : 'Change'}</button>
              <p class={`said ${said.bad ? 'bad' : 'good'}`} role="status">{said.text}</p>
            </form>
          )}
      </section>
    </>
  );
}
