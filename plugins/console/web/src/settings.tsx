// Live settings: what each is, what the deployment says, and what was set over it while the server
// runs. Switches of optimisations first.
import type { ComponentChildren, JSX } from 'preact';
import { useState } from 'preact/hooks';
import { operate, operation, type Session } from './api';
import { Reasoned, Shown, Table, operates, useLoaded, when } from './ui';

interface Setting {
  plugin: string; pointer: string; title?: string; description?: string; type: string;
  minimum?: number; maximum?: number; enum?: unknown[]; value: unknown; deployment: unknown; overridden: boolean; flag?: boolean;
  by?: string; reason?: string; at_ms?: number;
}
// What was set for a plugin or a setting that is no longer there, or no longer fits.
interface Unfit { plugin: string; pointer: string; value?: unknown; problem?: Problem | string; message?: string }
interface Settings { generation: number; settings: Setting[]; unfit?: Unfit[] }
interface Problem { severity?: string; message?: string; found?: string; expected?: string; text?: string }
interface Outcome { applied: boolean; problems?: (Problem | string)[] }

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value) ?? '–');
const nameOf = (one: { plugin: string; pointer: string }): string => `${one.plugin}${one.pointer.replace(/\//g, '.')}`;

function told(one: Problem | string): string {
  if (typeof one === 'string') return one;
  const parts = [one.text ?? one.message, one.found ? `found ${one.found}` : '', one.expected ? `expected ${one.expected}` : ''];
  return parts.filter(Boolean).join(', ') || JSON.stringify(one);
}

async function change(what: 'settings-set' | 'settings-unset', setting: { plugin: string; pointer: string }, reason: string, value?: unknown): Promise<string> {
  const changes = [{ plugin: setting.plugin, pointer: setting.pointer, ...(what === 'settings-set' ? { value } : {}) }];
  const outcome = await operate<Outcome>(what, { changes, reason });
  if (!outcome.applied) {
    throw new Error((outcome.problems ?? []).map(told).join('; ') || 'It was refused.');
  }
  return what === 'settings-set' ? 'Set' : 'As the deployment says again';
}

// What was typed, as the type of the setting; text that fits none goes as it is, and the server says why not.
function parse(setting: Setting, typed: string): unknown {
  if (setting.type === 'string') return typed;
  try {
    return JSON.parse(typed);
  } catch {
    throw new Error(setting.type === 'integer' || setting.type === 'number' ? 'A number is expected.' : 'JSON is expected.');
  }
}

function Field({ setting, typed, type }: { setting: Setting; typed: string; type: (text: string) => void }): JSX.Element {
  const label = `New value of ${nameOf(setting)}`;
  if (setting.enum) {
    return <select aria-label={label} value={typed} onChange={(event) => { type(event.currentTarget.value); }}>{setting.enum.map((one) => <option key={text(one)}>{text(one)}</option>)}</select>;
  }
  if (setting.type === 'boolean') {
    return <select aria-label={label} value={typed} onChange={(event) => { type(event.currentTarget.value); }}><option value="true">on</option><option value="false">off</option></select>;
  }
  const range = setting.minimum !== undefined || setting.maximum !== undefined ? `${setting.minimum ?? ''} to ${setting.maximum ?? ''}` : undefined;
  return <input aria-label={label} title={range} value={typed} autoComplete="off" spellcheck={false}
    inputMode={setting.type === 'integer' ? 'numeric' : undefined} onInput={(event) => { type(event.currentTarget.value); }} />;
}

function Edit({ setting, done }: { setting: Setting; done: () => void }): JSX.Element {
  const [typed, type] = useState(text(setting.value));
  return (
    <Reasoned label="Change" of={nameOf(setting)} work={async (reason) => {
      const said = await change('settings-set', setting, reason, parse(setting, typed));
      done();
      return said;
    }}><Field setting={setting} typed={typed} type={type} /></Reasoned>
  );
}

function Unset({ setting, done }: { setting: { plugin: string; pointer: string }; done: () => void }): JSX.Element {
  return <Reasoned label="Take back" of={nameOf(setting)} work={async (reason) => {
    const said = await change('settings-unset', setting, reason);
    done();
    return said;
  }} />;
}

const named = (one: Setting): ComponentChildren => (
  <>
    <code>{nameOf(one)}</code>
    {(one.title || one.description) && <><br /><span class="quiet">{[one.title, one.description].filter(Boolean).join('. ')}</span></>}
  </>
);

function SetHere({ setting, may, done }: { setting: Setting; may: boolean; done: () => void }): JSX.Element {
  if (!setting.overridden) return <>no</>;
  return (
    <>
      {setting.by ? `by ${setting.by}${setting.at_ms ? `, ${when(setting.at_ms)}` : ''}: ${setting.reason ?? ''}` : 'yes'}{' '}
      {may && <Unset setting={setting} done={done} />}
    </>
  );
}

const onOff = (value: unknown): string => (value === true ? 'on' : value === false ? 'off' : text(value));

export function SettingsPage({ session }: { session: Session }): JSX.Element {
  const [settings, again] = useLoaded(() => operation<Settings>('settings'), [], 15);
  const [wanted, want] = useState('');
  const may = operates(session);
  const fits = (one: Setting): boolean => `${nameOf(one)} ${one.title ?? ''} ${one.description ?? ''}`.toLowerCase().includes(wanted.toLowerCase());
  return (
    <Shown of={settings}>
      {(now) => (
        <>
          <p class="quiet">What is set here lies over the deployment until it is taken back, also after a restart. Who set it, and why, is on the audit log.</p>
          {(now.unfit ?? []).length > 0 && (
            <section><h2>Not in force</h2>
              <Table caption="What was set and does not fit any more" rows={now.unfit ?? []} empty="" id={nameOf} columns={[
                { head: 'Setting', cell: (one) => <code>{nameOf(one)}</code> },
                { head: 'Was to be', cell: (one) => text(one.value) },
                { head: 'Why not', cell: (one) => (one.problem ? told(one.problem) : one.message ?? '') },
                { head: 'Do', cell: (one) => (may ? <Unset setting={one} done={again} /> : '') },
              ]} />
            </section>
          )}
          <section><h2>Switches</h2>
            <Table caption="Feature flags" rows={now.settings.filter((one) => one.flag)} empty="There are none." id={nameOf} columns={[
              { head: 'Flag', cell: named },
              { head: 'Is', cell: (one) => <strong>{onOff(one.value)}</strong> },
              { head: 'Deployment', cell: (one) => onOff(one.deployment) },
              { head: 'Do', cell: (one) => (may ? (
                <Reasoned label={one.value === true ? 'Switch off' : 'Switch on'} of={nameOf(one)} work={async (reason) => {
                  await change('settings-set', one, reason, one.value !== true);
                  again();
                  return one.value === true ? 'Off' : 'On';
                }} />
              ) : '') },
              { head: 'Set here', cell: (one) => <SetHere setting={one} may={may} done={again} /> },
            ]} />
          </section>
          <section><h2>Settings</h2>
            <p><label>Find <input type="search" value={wanted} onInput={(event) => { want(event.currentTarget.value); }} /></label></p>
            <Table caption="Settings that change while the server runs" rows={now.settings.filter((one) => !one.flag && fits(one))} empty="None is called so." id={nameOf} columns={[
              { head: 'Setting', cell: named },
              { head: 'Is', cell: (one) => text(one.value) },
              { head: 'Deployment', cell: (one) => (one.overridden ? text(one.deployment) : 'the same') },
              { head: 'Do', cell: (one) => (may ? <Edit key={text(one.value)} setting={one} done={again} /> : '') },
              { head: 'Set here', cell: (one) => <SetHere setting={one} may={may} done={again} /> },
            ]} />
          </section>
        </>
      )}
    </Shown>
  );
}
