import { Type } from '@sinclair/typebox';
import { absentable, component, listOf, ref, text } from './shapes.js';

const ParticipantSubscriptionSchema = component(
  'ParticipantSubscription',
  Type.Object({
    participantId: text(128, 'Whom to receive. It may come later.'),
    streamAliases: Type.Optional(
      Type.Array(text(256, 'The alias that a device gave to its stream.'), {
        uniqueItems: true,
        maxItems: 100,
        description: 'Only these streams of it. Absent or empty: all.',
      }),
    ),
  }),
);

/** What a participant asks to receive. */
export const NewSubscriptionsSchema = component(
  'NewSubscriptions',
  Type.Object(
    {
      sessionId: Type.Optional(text(128, 'The session of the path. Alone: everyone in it, now and later.')),
      participants: Type.Optional(
        Type.Array(ref(ParticipantSubscriptionSchema), {
          maxItems: 200,
          description: 'Exactly these. Beware: empty is the same as absent.',
        }),
      ),
    },
    {
      description: 'Whom to receive. Neither property: nobody. One-directional; own streams never come back.',
    },
  ),
);

/** What a participant asked to receive. */
export const SubscriptionsSchema = component(
  'Subscriptions',
  Type.Object({
    sessionId: absentable(Type.String()),
    participants: absentable(
      listOf(
        Type.Object({
          participantId: Type.String(),
          streamAliases: absentable(listOf(Type.String())),
        }),
      ),
    ),
  }),
);

export const subscriptionComponents = [
  ParticipantSubscriptionSchema,
  NewSubscriptionsSchema,
  SubscriptionsSchema,
];
