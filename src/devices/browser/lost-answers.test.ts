import { expect, it } from 'vitest';
import { FakeClock } from '../../shared/testing/index.js';
import { LostAnswers } from './page-calls.js';

it('keeps the answers of lost pages within limits of time, number and bytes, and returns each once', () => {
  const clock = new FakeClock();
  const answers = new LostAnswers(clock);
  answers.keep('p', 'page', { sdpAnswer: 'one' });
  answers.keep('p', 'page', { sdpAnswer: 'two' });
  expect(answers.take('p', 'other')).toBeUndefined();
  expect(answers.take('p', 'page')).toEqual({ sdpAnswer: 'two' });
  expect(answers.take('p', 'page')).toBeUndefined();

  answers.keep('p', 'page', { sdpAnswer: 'three' });
  clock.advance(180_000);
  expect(answers.take('p', 'page')).toBeUndefined();
  expect(answers.size).toBe(0);

  for (let i = 0; i < 1_100; i += 1) answers.keep('p', String(i), {});
  expect(answers.size).toBe(1_000);
  const large = { sdpAnswer: 'x'.repeat(1024 * 1024) };
  for (let i = 0; i < 20; i += 1) answers.keep('q', String(i), large);
  expect(answers.size).toBe(7);
  expect(answers.take('q', '19')).toEqual(large);
});
