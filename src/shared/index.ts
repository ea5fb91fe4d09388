export { type AddressedRequest, type ClientAddress, clientAddresses } from './client-address.js';
export { hangUp } from './hang-up.js';
export { HostNames, hostNames } from './host-names.js';
export { holdsToken, maskTokens, sipTokenMask, tokensIn } from './token-mask.js';
export { type AddressFilter, inNetworks, networkOf } from './networks.js';
