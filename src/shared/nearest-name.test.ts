import { describe, expect, it } from 'vitest';
import { nearestName } from './nearest-name.js';

describe('nearestName', () => {
  const known = ['callbackUrl', 'publishPermissions', 'tag', 'tags'];

  it.each([
    ['callbackURL', 'callbackUrl'],
    ['publishPermission', 'publishPermissions'],
    ['Tag', 'tag'],
    ['tabs', 'tags'],
  ])('finds what %s was meant to be', (name, meant) => expect(nearestName(name, known, 1)).toBe(meant));

  it('leaves alone what is further away', () => {
    expect(nearestName('permissions', known, 1)).toBeUndefined();
    expect(nearestName('at', known, 1)).toBeUndefined();
  });
});
