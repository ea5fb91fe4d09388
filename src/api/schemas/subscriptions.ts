import { Type } from '@sinclair/typebox';
import { absentable, component, listOf, ref, text } from './shapes.js';

const ParticipantSubscriptionSchema = component(
  'ParticipantSubscription',
  Type.Object({
    participantId: text(128, 'Whom to receive. The participant need not exist yet.'),
    streamAliases: Type.Optional(
      Type.Array(text(256, 'The alias that a device gave to its stream.'), {
        uniqueItems: true,
        maxItems: 100,
        description: 'Only these of its streams. Absent or empty: all.',
      }),
    ),
  }),
);

export const NewSubscriptionsSchema = component(
  'NewSubscriptions',
  Type.Object(
    {
      sessionId: Type.Optional(
        text(128, 'The session in the path. Without `participants`: everyone in it, now and later.'),
      ),
      participants: Type.Optional(
        Type.Array(ref(ParticipantSubscriptionSchema), {
          maxItems: 200,
          description: 'Exactly these participants. An empty list is the same as none.',
        }),
      ),
    },
    {
      description:
        'Whom to receive; without any property: nobody. A participant never receives its own streams.',
    },
  ),
);

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
