/** What the document says before it comes to the operations. Markdown. */
export const description = `
Sessions, participants and subscriptions of the Patchbay gateway.
`;

export const tags = [
  { name: 'Sessions', description: 'Groups of at most 20 participants.' },
  { name: 'Participants', description: 'Persons and programs, and their devices: browsers and phones.' },
  { name: 'Subscriptions', description: 'Who receives whom.' },
  { name: 'Gateway', description: 'The gateway itself.' },
];
