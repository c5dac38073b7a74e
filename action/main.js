// Takes the lock, and leaves a process behind that holds it.  SPDX-License-Identifier: Apache-2.0
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const program = require('./program.js');
const runner = require('./runner.js');

const FIRST_SIGNAL = 128; // exit codes from here on are a signal's

// Each input that is given, as awsflock's option.
function options(names) {
	const words = [];

	for (const [name, option] of Object.entries(names)) {
		const value = runner.input(name);

		if (value)
			words.push(`--${option}=${value}`);
	}
	return words;
}

function scratchDirectory() {
	const directory = process.env.RUNNER_TEMP;

	if (process.platform !== 'linux')
		throw new runner.Failure(`awsflock runs on Linux, not on ${process.platform}: choose such a runner`, 1);
	if (!directory)
		throw new runner.Failure('RUNNER_TEMP is not set: this is a step of GitHub Actions', 1);
	return directory;
}

// Post never comes where the runner itself is killed: then the lock is released with it.  In a container the runner is not
// seen, and whoever starts this process there ends with the step.
function whileRunnerLives() {
	let name;

	try {
		name = fs.readFileSync(`/proc/${process.ppid}/comm`, 'utf8').trim();
	} catch (error) {
		return [];
	}
	return name === 'Runner.Worker' ? [`--while=${process.ppid}`] : [];
}

// Text: a number may be too large for JavaScript's.
function fenceOf(json) {
	const found = json.match(/"fence": ?(\d+)/);

	return found ? found[1] : '';
}

function tellLease(job, lease, fence) {
	runner.tell('add-mask', lease.lease_id); // whoever knows it can release the lock
	runner.setOutput('fence', fence);
	runner.setOutput('lease-id', lease.lease_id);
	runner.setOutput('lease-file', job.file);
	// As for a command under awsflock run.
	runner.setVariable('AWSFLOCK_LOCK', job.lock);
	runner.setVariable('AWSFLOCK_FENCE', fence);
	runner.setVariable('AWSFLOCK_LEASE_FILE', job.file);
}

async function main() {
	const scratch = scratchDirectory();
	const job = { lock: runner.input('lock'), file: path.join(scratch, `awsflock-lease-${crypto.randomUUID()}`) };

	if (!job.lock)
		throw new runner.Failure("the input 'lock' is empty: name the lock", 2);
	job.store = options({ table: 'tablename', region: 'region' });
	const how = options({ wait: 'wait-time', 'lease-duration': 'lease-duration', purpose: 'purpose' });
	job.program = await program.find(scratch);
	runner.keep('job', job); // first: whatever becomes of this process, post finds what it has taken
	program.endIfCancelled();
	const done = await program.run(job.program, ['hold', '--detach', '--json', `--lease-file=${job.file}`,
		...whileRunnerLives(), ...job.store, ...how, '--', job.lock]);
	if (done.code < FIRST_SIGNAL && done.code !== 0)
		runner.keep('job', null); // it has said so itself: there is nothing for post
	if (done.code !== 0)
		throw new runner.Failure(done.said || `awsflock ended with exit code ${done.code}`, done.code);
	const json = done.lines.join('\n');
	const lease = JSON.parse(json);
	runner.keep('held', { since: Date.now(), owner: lease.owner, fence: fenceOf(json) });
	tellLease(job, lease, fenceOf(json));
}

runner.runStep(main);
