// Finding, building and running awsflock.  SPDX-License-Identifier: Apache-2.0
'use strict';

const childProcess = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const runner = require('./runner.js');

// Somebody who inherited a child's output may keep it open.
const OUTPUT_ENDS_MS = 2000;

// What a cancelled step is told; its child is told the same, and this process ends when that has.
let cancelledBy;
let child;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
	process.on(signal, () => {
		cancelledBy = cancelledBy || signal;
		if (child)
			child.pass(signal);
	});
}

const codeOf = signal => 128 + os.constants.signals[signal];

function endIfCancelled() {
	if (cancelledBy)
		throw new runner.Failure(`cancelled by ${cancelledBy}`, codeOf(cancelledBy));
}

// Shows what STREAM brings, and hands each line to EACH.
function show(stream, each) {
	let rest = '';

	stream.setEncoding('utf8');
	stream.on('data', text => {
		const lines = (rest + text).split('\n');

		rest = lines.pop();
		lines.forEach(each);
	});
	stream.on('end', () => rest && each(rest));
}

function start(program, words, isTree) {
	const process_ = childProcess.spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], detached: isTree });

	process_.pass = signal => {
		try {
			process.kill(isTree ? -process_.pid : process_.pid, signal);
		} catch (error) {
			if (error.code !== 'ESRCH')
				throw error;
		}
	};
	return process_;
}

// The exit code, once all output has come.
function wait(started) {
	return new Promise((resolve, reject) => {
		started.on('error', reject);
		started.on('close', (code, signal) => resolve(signal ? codeOf(signal) : code));
		started.on('exit', () => setTimeout(() => {
			started.stdout.destroy();
			started.stderr.destroy();
		}, OUTPUT_ENDS_MS).unref());
	});
}

// Runs PROGRAM to its end: { code, lines, said }, its output's lines and the last one of its errors'.  What it says is shown,
// and is no command to the runner, whatever others have written into it.  IS_TREE: signals are for all that it starts.
async function run(program, words, isTree = false) {
	const done = { lines: [], said: '' };

	const goOn = runner.stopCommands();
	try {
		child = start(program, words, isTree);
		show(child.stdout, line => done.lines.push(line));
		show(child.stderr, line => {
			done.said = line.trim() || done.said;
			process.stdout.write(`${line}\n`);
		});
		done.code = await wait(child);
	} finally {
		child = undefined;
		goOn();
	}
	return done;
}

function findInstalled() {
	for (const directory of (process.env.PATH || '').split(path.delimiter)) {
		const file = path.join(directory, 'awsflock');

		try {
			fs.accessSync(file, fs.constants.X_OK);
			if (directory && fs.statSync(file).isFile())
				return file;
		} catch (error) {
			continue;
		}
	}
	return undefined;
}

// The awsflock that is installed, or one that is built of the action's own sources, for later steps too.
async function find(scratch) {
	const installed = findInstalled();
	const directory = path.join(scratch, 'awsflock-build');

	if (installed)
		return installed;
	const built = await run('/bin/sh', [path.join(__dirname, 'build'), directory], true);
	endIfCancelled();
	if (built.code !== 0)
		throw new runner.Failure('awsflock is not installed, and could not be built, as the lines above say: install it ' +
			'on the runner', built.code);
	// By itself: what else configure and make have left there is nobody's program.
	const bin = path.join(directory, 'bin');
	fs.mkdirSync(bin, { recursive: true });
	fs.renameSync(path.join(directory, 'awsflock'), path.join(bin, 'awsflock'));
	runner.addPath(bin);
	return path.join(bin, 'awsflock');
}

module.exports = { endIfCancelled, find, run };
