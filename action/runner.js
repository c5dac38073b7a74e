// How an action and its runner talk: inputs and states come in variables, what goes back stands in files and in lines of
// output.  SPDX-License-Identifier: Apache-2.0
'use strict';

const crypto = require('crypto');
const fs = require('fs');

// Ends the step: one sentence for a person, and the exit code.
class Failure extends Error {
	constructor(message, exitCode) {
		super(message);
		this.exitCode = exitCode;
	}
}

// The input NAME; empty where the job does not say it.
function input(name) {
	const value = (process.env[`INPUT_${name.toUpperCase()}`] || '').trim();

	if (/[\r\n]/.test(value))
		throw new Failure(`the input '${name}' has a line break in it: write it on one line`, 2);
	return value;
}

// What main kept under NAME for post; undefined where it did not come to that.
function state(name) {
	const text = process.env[`STATE_${name}`];

	return text ? JSON.parse(text) : undefined;
}

function append(variable, text) {
	const file = process.env[variable];

	if (!file)
		throw new Failure(`${variable} is not set: this is a step of GitHub Actions`, 1);
	fs.appendFileSync(file, text);
}

// No value can hold the line that ends it.
function appendValue(variable, name, value) {
	const end = `end-${crypto.randomUUID()}`;

	append(variable, `${name}<<${end}\n${value}\n${end}\n`);
}

const keep = (name, value) => appendValue('GITHUB_STATE', name, JSON.stringify(value));
const setOutput = (name, value) => appendValue('GITHUB_OUTPUT', name, value);
const setVariable = (name, value) => appendValue('GITHUB_ENV', name, value);
const addPath = directory => append('GITHUB_PATH', `${directory}\n`);

// Not every runner shows one.
function summarize(text) {
	if (process.env.GITHUB_STEP_SUMMARY)
		append('GITHUB_STEP_SUMMARY', `${text}\n`);
}

function tell(command, text) {
	const escaped = text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');

	process.stdout.write(`::${command}::${escaped}\n`);
}

// From here on no line of output is taken for a command, until the function is called that this returns.
function stopCommands() {
	const token = crypto.randomUUID();

	tell('stop-commands', token);
	return () => tell(token, '');
}

// TEXT as it is, where Markdown is read.
function plain(text) {
	return text.replace(/[^\p{L}\p{N} .:/-]/gu, character => `&#${character.codePointAt(0)};`);
}

// Runs STEP, and says in one line why it failed.
async function runStep(step) {
	try {
		await step();
	} catch (error) {
		tell('error', error.message);
		process.exitCode = error.exitCode || 1;
	}
}

module.exports = {
	Failure, addPath, input, keep, plain, runStep, setOutput, setVariable, state, stopCommands, summarize, tell,
};
