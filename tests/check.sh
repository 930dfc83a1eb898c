#!/bin/sh
# dockcc check: each rule where it has to speak and where it must not, the ways to silence it, the formats.
# what lib.sh sets: here, source, dockcc, work
# shellcheck disable=SC1091,SC2154,SC2034
. "$(dirname "$0")/lib.sh"

# rules TEXT WANT FILE: WANT is "LINE:RULE ..." in order; FILE has its line breaks as \n
rules() {
	printf "$3" >"$work/Dockerfile"
	"$dockcc" check --format=json -f "$work/Dockerfile" >"$work/json" 2>"$work/err"
	is "$1" "$2" "$(jq -r '[.warnings[] | "\(.line):\(.rule)"] + (if has("error_line") then ["error:\(.error_line)"] else [] end) | join(" ")' "$work/json")"
}

rules 'a clean file' '' 'FROM a\nENV A=1\nCMD ["x"]\n'
rules 'StageNameCasing' 1:StageNameCasing 'FROM a AS Build\n'
rules 'FromAsCasing' 1:FromAsCasing 'FROM a as b\n'
rules 'FromAsCasing, all lower' '' 'from a as b\nrun x\n'
rules 'ConsistentInstructionCasing' 3:ConsistentInstructionCasing 'FROM a\nRUN b\nrun c\n'
rules 'ConsistentInstructionCasing, lower is the majority' 1:ConsistentInstructionCasing 'FROM a\nrun b\nrun c\n'
rules 'NoEmptyContinuation names the last line' 4:NoEmptyContinuation 'FROM a\nRUN b \\\n\n  c\n'
rules 'a comment in a continuation is fine' '' 'FROM a\nRUN b \\\n# x\n  c\n'
rules 'DuplicateStageName' 2:DuplicateStageName 'FROM a AS b\nFROM a AS b\n'
rules 'ReservedStageName' 1:ReservedStageName 'FROM a AS scratch\n'
rules 'JSONArgsRecommended' '2:JSONArgsRecommended' 'FROM a\nCMD x\n'
rules 'JSONArgsRecommended after SHELL' '' 'FROM a\nSHELL ["sh"]\nCMD x\n'
rules 'MaintainerDeprecated' 2:MaintainerDeprecated 'FROM a\nMAINTAINER x\n'
rules 'UndefinedArgInFrom' '2:UndefinedArgInFrom' 'ARG TAG=1\nFROM a:${TGA:-x}\n'
rules 'platform arguments are there in FROM' '' 'FROM a-$TARGETARCH\n'
rules 'UndefinedVar' 3:UndefinedVar 'FROM a\nARG SRC=s\nCOPY $SCR /x\n'
rules 'UndefinedVar with a default' 2:UndefinedVar 'FROM a\nUSER ${WHO:-me}\n'
rules 'a global is not seen in a stage' 3:UndefinedVar 'ARG G=1\nFROM a\nWORKDIR /$G\n'
rules 'PATH is always there' '' 'FROM a\nENV PATH=/x:$PATH\n'
rules 'RUN is the shell s business' '' 'FROM a\nRUN echo $x\n'
rules 'a stage inherits' '' 'FROM a AS b\nENV X=1\nFROM b\nWORKDIR /$X\n'
rules 'UndefinedVar in a mount' 2:UndefinedVar 'FROM a\nRUN --mount=type=cache,target=/$C x\n'
rules 'UndefinedVar in a here-document' 2:UndefinedVar 'FROM a\nCOPY <<E /x\n$y\nE\n'
rules 'InvalidDefaultArgInFrom' '2:InvalidDefaultArgInFrom error:2' 'ARG TAG\nFROM a:${TAG}\n' 
rules 'WorkdirRelativePath' 2:WorkdirRelativePath 'FROM a\nWORKDIR x\nWORKDIR y\n'
rules 'WorkdirRelativePath after an absolute one' '' 'FROM a AS b\nWORKDIR /x\nFROM b\nWORKDIR y\n'
rules 'MultipleInstructionsDisallowed names the one that loses' 2:MultipleInstructionsDisallowed 'FROM a\nCMD ["x"]\nCMD ["y"]\n'
rules 'LegacyKeyValueFormat' '2:LegacyKeyValueFormat 3:LegacyKeyValueFormat' 'FROM a\nENV a b\nLABEL c d\n'
rules 'SecretsUsedInArgOrEnv' '2:SecretsUsedInArgOrEnv 3:SecretsUsedInArgOrEnv' 'FROM a\nARG NPM_TOKEN\nENV DB_PASSWORD=x\n'
rules 'no secret' '' 'FROM a\nARG MONKEY\nENV PUBLIC_KEY=x KEY_FILE=y\n'
rules 'RedundantTargetPlatform' 1:RedundantTargetPlatform 'FROM --platform=$TARGETPLATFORM a\n'
rules 'FromPlatformFlagConstDisallowed' 1:FromPlatformFlagConstDisallowed 'FROM --platform=linux/arm64 a AS b\n'
rules 'a stage that is named after its platform' '' 'FROM --platform=linux/arm64 a AS b-arm64\n'
rules 'ExposeProtoCasing' 2:ExposeProtoCasing 'FROM a\nEXPOSE 53/UDP\n'
rules 'ExposeInvalidFormat' 2:ExposeInvalidFormat 'FROM a\nEXPOSE 8080:80\n'
rules 'InvalidDefinitionDescription is asked for' '' 'FROM a\n# the version\nARG V\n'
rules 'InvalidDefinitionDescription' 4:InvalidDefinitionDescription '# check=experimental=all\nFROM a\n# the version\nARG V\n'
rules 'skip' 3:MaintainerDeprecated '# check=skip=StageNameCasing\nFROM a AS B\nMAINTAINER x\n'
rules 'skip=all' '' '# check=skip=all\nFROM a AS B\nMAINTAINER x\n'
rules 'skip for one instruction' 4:MaintainerDeprecated 'FROM a\n# check=skip=MaintainerDeprecated\nMAINTAINER x\nMAINTAINER y\n'
rules 'a bad check directive is an error' error:0 '# check=skip\nFROM a\n'
rules 'findings before an error are told' '2:MaintainerDeprecated error:3' 'FROM a\nMAINTAINER x\nRUM y\n'
rules 'an unreachable stage is checked too' error:2 'FROM a\nEXPOSE x\nFROM b\n'

printf 'FROM a\nMAINTAINER me\n' >"$work/Dockerfile"
"$dockcc" check -f "$work/Dockerfile" >"$work/out"
is 'status with warnings only' 5 $?
is 'text ends with a count' '0 errors, 1 warning in 1 file' "$(tail -n 1 "$work/out")"
"$dockcc" check -Wno-MaintainerDeprecated -f "$work/Dockerfile" >"$work/out"
is '-Wno-RULE' 0 $?
"$dockcc" check --format=gcc -f "$work/Dockerfile" >"$work/out"
is 'format gcc' "$work/Dockerfile:2:1: warning: MAINTAINER is out of use [MaintainerDeprecated]" "$(cat "$work/out")"
"$dockcc" check --format=sarif "$work/Dockerfile" "$work/Dockerfile" >"$work/out"
is 'SARIF is JSON with a result a finding' '2.1.0 2 MaintainerDeprecated 2' \
	"$(jq -r '"\(.version) \(.runs[0].results | length) \(.runs[0].results[0].ruleId) \(.runs[0].results[0].locations[0].physicalLocation.region.startLine)"' "$work/out")"
"$dockcc" check --explain UndefinedVar >"$work/out"
is 'a rule explains itself' 'UndefinedVar (undefined-var, group build)' "$(head -n 1 "$work/out")"
"$dockcc" check --explain Nonsense >"$work/out" 2>&1
is 'an unknown rule' 2 $?
printf '# check=error=true\nFROM a AS B\n' >"$work/Dockerfile"
"$dockcc" compile -o "$work/build.sh" "$work" >"$work/out" 2>&1
is 'error=true stops the compile' 1 $?
finish
