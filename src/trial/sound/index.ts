export { RtpPhone } from './rtp-phone.js';
