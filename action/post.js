// Releases what main has taken, however the job ends.  SPDX-License-Identifier: Apache-2.0
'use strict';

const fs = require('fs');

const program = require('./program.js');
const runner = require('./runner.js');

const NOT_HELD = 3; // awsflock's exit code

function duration(ms) {
	const seconds = Math.max(0, Math.round(ms / 1000));
	const parts = [[Math.floor(seconds / 3600), 'h'], [Math.floor(seconds / 60) % 60, 'm'], [seconds % 60, 's']];

	return parts.filter(([count, unit]) => count > 0 || unit === 's').map(([count, unit]) => count + unit).join(' ');
}

function summarize(job, held, end) {
	runner.summarize(`awsflock: <code>${runner.plain(job.lock)}</code> was held by ${runner.plain(held.owner)} for ` +
		`${duration(Date.now() - held.since)} (fence ${held.fence})${end}`);
}

async function post() {
	const job = runner.state('job'), held = runner.state('held');

	if (!job)
		return; // main did not come to ask for the lock
	const hadFile = fs.existsSync(job.file);
	const done = await program.run(job.program, ['release', ...job.store, `--lease-file=${job.file}`]);
	if (done.code === 0 && held)
		summarize(job, held, '.');
	// Main has taken nothing, or somebody has released it: a step, or this one before.
	if (done.code === 0 || (done.code === NOT_HELD && !(held && hadFile)))
		return;
	if (done.code === NOT_HELD)
		summarize(job, held, `; it was not held to the end: ${runner.plain(done.said)}`);
	throw new runner.Failure(done.said || `awsflock ended with exit code ${done.code}`, done.code);
}

runner.runStep(post);
