import { describe, expect, it } from 'vitest';
import { BxmlError, readBxml } from './bxml.js';

describe('BXML', () => {
  it('is read in its order, with attributes, entities and text', async () => {
    const verbs = await readBxml(`<?xml version="1.0" encoding="UTF-8"?>
      <!-- a comment --><Response><SpeakSentence locale="en_US">You &amp; me &#39;now&#39;</SpeakSentence>
      <Transfer transferCompleteUrl="/done?a=1&amp;b=2" tag=""><SipUri uui="x;encoding=base64,t;encoding=jwt">sip:a@b</SipUri></Transfer>
      <SpeakSentence>12.0</SpeakSentence><Hangup/></Response>`);
    expect(verbs).toEqual([
      { name: 'SpeakSentence', attributes: { locale: 'en_US' }, text: "You & me 'now'", children: [] },
      {
        name: 'Transfer',
        attributes: { transferCompleteUrl: '/done?a=1&b=2', tag: '' },
        text: '',
        children: [
          {
            name: 'SipUri',
            attributes: { uui: 'x;encoding=base64,t;encoding=jwt' },
            text: 'sip:a@b',
            children: [],
          },
        ],
      },
      { name: 'SpeakSentence', attributes: {}, text: '12.0', children: [] },
      { name: 'Hangup', attributes: {}, text: '', children: [] },
    ]);
    expect((await readBxml('<Bxml><Pause duration="3"/></Bxml>'))[0]?.attributes).toEqual({ duration: '3' });
  });

  it.each([
    ['', 'empty'],
    ['{"not": "xml"}', 'not XML'],
    ['<Response><Pause></Response>', 'opened in line 1'],
    ['<Answer/>', '<Response>'],
    ['<Response/><Response/>', 'one <Response>'],
    ['<!DOCTYPE a [<!ENTITY b "c">]><Response>&b;</Response>', 'DOCTYPE'],
    [`<Response>${'<Pause/>'.repeat(501)}</Response>`, '500 verbs'],
    [`<Response>${' '.repeat(65_536)}</Response>`, '64 KB'],
    [`<Response>${'<a>'.repeat(5_000)}${'</a>'.repeat(5_000)}</Response>`, 'nested'],
  ])('is refused in words: number %#', async (document, words) => {
    const reading = readBxml(document);
    await expect(reading).rejects.toThrow(BxmlError);
    await expect(reading).rejects.toThrow(words);
  });
});
