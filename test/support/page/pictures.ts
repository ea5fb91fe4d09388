import type { Colour } from './api.js';

const WIDTH = 320;
const HEIGHT = 240;
const FRAMES_PER_SECOND = 20;

/** A video track of pictures that are drawn anew for each frame; the drawing stops with the track. */
function drawnTrack(
  { width, height }: { readonly width: number; readonly height: number },
  draw: (pen: CanvasRenderingContext2D, frame: number) => void,
): MediaStreamTrack {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext('2d')!;
  let frame = 0;
  const timer = setInterval(() => {
    frame += 1;
    draw(pen, frame);
  }, 1000 / FRAMES_PER_SECOND);
  const track = canvas.captureStream(FRAMES_PER_SECOND).getVideoTracks()[0]!;
  const stop = track.stop.bind(track);
  track.stop = () => {
    clearInterval(timer);
    stop();
  };
  return track;
}

/** A video track with moving pictures, made without a camera. */
export function pictureTrack({ width, height } = { width: WIDTH, height: HEIGHT }): MediaStreamTrack {
  return drawnTrack({ width, height }, (pen, frame) => {
    pen.fillStyle = `hsl(${String((frame * 7) % 360)} 80% 50%)`;
    pen.fillRect(0, 0, width, height);
    pen.fillStyle = 'white';
    pen.fillRect((frame * 5) % width, (frame * 3) % height, 40, 40);
  });
}

/** The size of a small camera's pictures. */
const BUSY = { width: 640, height: 360 };
const BALLS = 60;

/** A video track with so much motion that it takes some 800 kbit/s. */
export function busyTrack(): MediaStreamTrack {
  return drawnTrack(BUSY, (pen, frame) => {
    pen.fillStyle = 'grey';
    pen.fillRect(0, 0, BUSY.width, BUSY.height);
    for (let ball = 0; ball < BALLS; ball += 1) {
      pen.fillStyle = `hsl(${String((ball * 360) / BALLS)} 80% 50%)`;
      pen.beginPath();
      const x = (ball * 97 + frame * (3 + (ball % 5))) % BUSY.width;
      const y = (ball * 53 + frame * (2 + (ball % 7))) % BUSY.height;
      pen.arc(x, y, 6 + (ball % 9) * 3, 0, 2 * Math.PI);
      pen.fill();
    }
  });
}

const still = document.createElement('canvas');
still.width = WIDTH;
still.height = HEIGHT;

/** A video track of a canvas that only {@link paint} draws on. */
export function stillTrack(): MediaStreamTrack {
  return still.captureStream(FRAMES_PER_SECOND).getVideoTracks()[0]!;
}

/** Draws a square that moves over the colour, and the colour alone in the last frame. */
export async function paint(colour: Colour, frames: number): Promise<void> {
  const pen = still.getContext('2d')!;
  for (let frame = 1; frame <= frames; frame += 1) {
    pen.fillStyle = `rgb(${colour.join(' ')})`;
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    pen.fillStyle = 'white';
    if (frame < frames) pen.fillRect((frame * 5) % WIDTH, (frame * 3) % HEIGHT, 40, 40);
    await new Promise((resolve) => setTimeout(resolve, 1000 / FRAMES_PER_SECOND));
  }
}

/** The colour in the middle of what a player shows. */
export function shown(player: HTMLVideoElement): Colour | undefined {
  if (player.videoWidth === 0) return undefined;
  const eye = document.createElement('canvas');
  [eye.width, eye.height] = [WIDTH, HEIGHT];
  const pen = eye.getContext('2d')!;
  pen.drawImage(player, 0, 0, WIDTH, HEIGHT);
  const [red, green, blue] = pen.getImageData(WIDTH / 2, HEIGHT / 2, 1, 1).data;
  return [red!, green!, blue!];
}
