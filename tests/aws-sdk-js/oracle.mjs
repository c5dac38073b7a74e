// What AWS's SDK for JavaScript finds, and whether node:crypto takes a DPoP proof.
//
//   oracle.mjs keys PROFILE    prints {"accessKeyId": ...} or {"error": ...}; an MFA code is that of $MFA_CODE
//   oracle.mjs verify PROOF    prints the claims, or fails
//
// The SDK is looked for below $AWSFLOCK_TEST_SDK_JS.  SPDX-License-Identifier: Apache-2.0
import { createPublicKey, verify, webcrypto } from "node:crypto";
import { createRequire } from "node:module";

// Debian 12's node has it behind a flag, and the SDK takes it for granted.
globalThis.crypto ??= webcrypto;

async function keys(profile) {
  const require = createRequire(`${process.env.AWSFLOCK_TEST_SDK_JS}/x.js`);
  const { fromNodeProviderChain } = require("@aws-sdk/credential-providers");
  const mfaCodeProvider = async () => process.env.MFA_CODE;
  try {
    return await fromNodeProviderChain({ profile, mfaCodeProvider, clientConfig: { maxAttempts: 1 } })();
  } catch (error) {
    return { error: error.name, message: error.message };
  }
}

function verified(proof) {
  const [head, claims, signature] = proof.split(".");
  const { alg, typ, jwk } = JSON.parse(Buffer.from(head, "base64url"));
  const key = { key: createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" };
  if (alg !== "ES256" || typ !== "dpop+jwt" || jwk.crv !== "P-256" ||
      !verify("sha256", `${head}.${claims}`, key, Buffer.from(signature, "base64url"))) {
    throw new Error("the proof is wrong");
  }
  return JSON.parse(Buffer.from(claims, "base64url"));
}

const [what, argument] = process.argv.slice(2);
console.log(JSON.stringify(what === "verify" ? verified(argument) : await keys(argument)));
