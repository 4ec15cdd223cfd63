// Randomness that a seed repeats.

export class Random {
    constructor(seed) {
        this.state = seed >>> 0;
    }

    /** [0, 1): mulberry32 */
    next() {
        this.state = (this.state + 0x6d2b79f5) >>> 0;
        let t = this.state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    }

    below(n) {
        return Math.floor(this.next() * n);
    }

    pick(list) {
        return list[this.below(list.length)];
    }

    /** rows of [weight, value] */
    weighted(rows) {
        let at = this.next() * rows.reduce((sum, [weight]) => sum + weight, 0);
        for (const [weight, value] of rows) {
            at -= weight;
            if (at < 0) return value;
        }
        return rows[rows.length - 1][1];
    }

    /** A generator of its own, so that one actor's pace does not change another's choices. */
    fork() {
        return new Random(this.below(0xffffffff));
    }
}
