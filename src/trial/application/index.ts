export { ApplicationClient, type RequestGuard } from './application-client.js';
export { ApplicationTrial, type LoadedSound, type NewApplicationTrial } from './application-trial.js';
