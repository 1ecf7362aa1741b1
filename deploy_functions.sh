#!/usr/bin/env bash
# Deploys and operates everything that functions.toml lists. Run it with --help.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: ./deploy_functions.sh VERB --project P --region R [options]

Verbs that deploy; each may be run any number of times, creates what is missing and updates what is there:
  setup       APIs, Firestore database, TTL, index exemptions, service accounts, roles, secrets, Gmail's topic and
              delegation, and who may call the functions that are deployed already
  functions   stage and import every function, then deploy them one after the other, and let its caller call each
  schedules   the Cloud Scheduler jobs
  monitoring  the log-based metrics, dashboard and alerts of monitoring/; whom an alert notifies, its labels, and
              that it is switched off stay as they are
  all         setup, functions, schedules, monitoring

Verbs that operate:
  smoke       have Cloud Scheduler run each of its jobs once, and wait for the answer
  status      what is deployed, and when each Scheduler job ran last (status 0 or none is well)
  pause       pause the Scheduler jobs; the functions stay, and a deployment does not wake the jobs
  resume      let the Scheduler jobs run again
  rollback    give the traffic of each function back to the revision before the one that has it now; the next
              deployment takes it again
  destroy     delete functions and Scheduler jobs, after a question; whatever else was set up stays

Options:
  --project P      the Google Cloud project
  --region R       the region of functions and Scheduler jobs
  --only NAME...   these functions, by their names in functions.toml, instead of all
  --settings FILE  the settings of this environment; .env of this folder, if there is one. The settings of the
                   shell have no influence. A secret that stands there is put into Secret Manager by setup;
                   secret:latest or secret:3 in its place says that it is there already
  --dry-run        print each command that would be run on the project, and run none of them
  --yes            do not ask
  --help           this text

Exit code: 0, 1 when something failed, 2 when the command line is wrong.
TEXT
}

HERE="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
VERB=""
PROJECT=""
REGION=""
ONLY=()
SETTINGS=""
DRY_RUN=""
YES=""
WORK=""       # the folder of the plan, gone at the end
NUMBER=""     # of the project
STEPS=()      # what is to be done, each a verb, a step and a function or "-"
STEPS_DONE=0
FLAGS=()      # what read_flags has read
REPLY=""      # what look has found
SMOKE_TRIES=60
SMOKE_PAUSE=5 # seconds
ALERT_TRIES=5 # after the first
ALERT_PAUSE=120
POLICY=""     # who has which role, as grant has found it,
POLICY_OF=""  # and on what

fail() { echo "error: $*" >&2; exit 1; }
misused() { echo "error: $*; see --help" >&2; exit 2; }

# -- Running gcloud ----------------------------------------------------------------------------------------------------

show() {
    printf 'gcloud'
    printf ' %q' "$@"
    printf '\n'
}

# Run a command that changes something.
run() {
    if [[ -n $DRY_RUN ]]; then
        show "$@"
    else
        gcloud "$@"
    fi
}

# Say whether there is what a command shows, and leave what it shows in REPLY. In a dry run there is nothing.
look() {
    REPLY=""
    if [[ -n $DRY_RUN ]]; then
        show "$@"
        return 1
    fi
    if REPLY="$(gcloud "$@" 2>"$WORK/said")"; then
        return 0
    fi
    if grep -Eqi 'NOT_FOUND|not found|\[404\]' "$WORK/said"; then
        return 1
    fi
    cat "$WORK/said" >&2
    fail "gcloud $1 $2 could not be asked; what it said stands above"
}

say() { [[ -n $DRY_RUN ]] && echo "# $*" || echo "== $*"; }

read_line() { local line; IFS= read -r line <"$WORK/$1" || true; printf '%s' "$line"; }

# Read flags, each ended by NUL, into FLAGS.
read_flags() {
    local flag
    FLAGS=()
    while IFS= read -r -d '' flag; do FLAGS+=("$flag"); done <"$1"
}

# Give a member a role on a resource, unless it has it. The rest is what gcloud calls such resources.
grant() {
    local role="$1" member="$2" resource="$3" unconditional=(--condition=None)
    shift 3
    [[ $1 != pubsub ]] || unconditional=() # it knows no conditions
    if [[ $POLICY_OF != "$* $resource" ]]; then
        look "$@" get-iam-policy "$resource" --project="$PROJECT" --flatten='bindings[].members' \
            --filter='-bindings.condition:*' --format='value(bindings.role,bindings.members)' || true
        POLICY="$REPLY"
        POLICY_OF="$* $resource"
    fi
    grep -Fqx -- "$role"$'\t'"$member" <<<"$POLICY" ||
        run "$@" add-iam-policy-binding "$resource" --project="$PROJECT" --member="$member" --role="$role" \
            ${unconditional[@]+"${unconditional[@]}"} --format=none
}

# -- The steps of setup ------------------------------------------------------------------------------------------------

setup_apis() {
    local api apis=()
    while IFS= read -r api; do apis+=("$api"); done <"$WORK/apis"
    run services enable "${apis[@]}" --project="$PROJECT"
}

setup_firestore() {
    local database location collection ttl_field field
    IFS=$'\t' read -r database location collection ttl_field <"$WORK/firestore"
    local at=("--collection-group=$collection" "--database=$database" "--project=$PROJECT")
    look firestore databases describe --database="$database" --project="$PROJECT" --format='value(name)' ||
        run firestore databases create --database="$database" --location="$location" --type=firestore-native \
            --edition=standard --delete-protection --project="$PROJECT" --format=none
    while IFS= read -r field <&3; do
        # Of a field that is exempt already nothing is left to show.
        look firestore indexes fields describe "$field" "${at[@]}" \
            --format='value(indexConfig.usesAncestorConfig,indexConfig.indexes[0].state)' &&
            [[ $REPLY =~ ^[[:space:]]*$ ]] ||
            run firestore indexes fields update "$field" "${at[@]}" --disable-indexes --format=none
    done 3<"$WORK/unindexed"
    look firestore indexes fields describe "$ttl_field" "${at[@]}" --format='value(ttlConfig.state)' || true
    [[ $REPLY == ACTIVE || $REPLY == CREATING ]] ||
        run firestore fields ttls update "$ttl_field" "${at[@]}" --enable-ttl --async --format=none
}

setup_accounts() {
    local id
    look iam service-accounts list --project="$PROJECT" --format='value(email)' || true
    while IFS= read -r id <&3; do
        grep -Fqx -- "$id@$PROJECT.iam.gserviceaccount.com" <<<"$REPLY" ||
            run iam service-accounts create "$id" --display-name="$id" --project="$PROJECT"
    done 3<"$WORK/accounts"
    # Google makes this one when it is first used, and whoever is not there yet can be granted nothing.
    ! grep -Fq @gcp-sa-gsuiteaddons. "$WORK"/*/invoker ||
        run beta services identity create --service=gsuiteaddons.googleapis.com --project="$PROJECT" --format=none
}

setup_roles() {
    local email role actor
    while IFS=$'\t' read -r email role <&3; do
        grant "$role" "serviceAccount:$email" "$PROJECT" projects
    done 3<"$WORK/roles"
    while IFS=$'\t' read -r email actor <&3; do
        grant roles/iam.serviceAccountTokenCreator "serviceAccount:$actor" "$email" iam service-accounts
    done 3<"$WORK/acting"
}

# Values go from file to file, never onto a command line. What is unchanged gets no new version.
setup_secrets() {
    local path name email
    plan secrets
    for path in "$WORK"/secrets/*; do
        [[ -e $path ]] || continue
        name="${path##*/}"
        look secrets describe "$name" --project="$PROJECT" --format='value(name)' ||
            run secrets create "$name" --replication-policy=automatic --project="$PROJECT"
        if [[ -z $DRY_RUN ]] && gcloud secrets versions access latest --secret="$name" --project="$PROJECT" \
            >"$WORK/kept" 2>/dev/null && cmp -s -- "$path" "$WORK/kept"; then
            continue
        fi
        run secrets versions add "$name" --data-file="$path" --project="$PROJECT"
    done
    while IFS=$'\t' read -r name email <&3; do
        grant roles/secretmanager.secretAccessor "serviceAccount:$email" "$name" secrets
    done 3<"$WORK/secret_readers"
}

setup_topics() {
    local topic
    while IFS= read -r topic <&3; do
        look pubsub topics describe "$topic" --project="$PROJECT" --format='value(name)' ||
            run pubsub topics create "$topic" --project="$PROJECT"
        grant roles/pubsub.publisher serviceAccount:gmail-api-push@system.gserviceaccount.com "$topic" pubsub topics
    done 3<"$WORK/topics"
}

setup_callers() {
    local name service
    while IFS= read -r name <&3; do
        service="$(read_line "$name/service")"
        if look functions describe "$service" --gen2 --region="$REGION" --project="$PROJECT" --format='value(state)'; then
            allow_caller "$name"
        fi
    done 3<"$WORK/functions"
}

# -- Functions and Scheduler jobs --------------------------------------------------------------------------------------

stage_functions() {
    say "staging and importing: $(tr '\n' ' ' <"$WORK/functions")"
    plan stage
}

deploy_function() {
    local service
    service="$(read_line "$1/service")"
    read_flags "$WORK/$1/deploy"
    # The file is gone when somebody looks at what is printed.
    [[ -z $DRY_RUN ]] || sed 's/^/# /' "$WORK/$1/env.yaml"
    # Not being asked, gcloud makes a new function private, and leaves the callers of an old one to allow_caller.
    run functions deploy "$service" --project="$PROJECT" --region="$REGION" "${FLAGS[@]}" \
        --source="$WORK/$1/source" --quiet --format='value(state,serviceConfig.revision)'
    allow_caller "$1"
}

# Let one member call a function, and nobody else.
allow_caller() {
    local service wanted member is_allowed=""
    service="$(read_line "$1/service")"
    wanted="$(read_line "$1/invoker")"
    look run services get-iam-policy "$service" --region="$REGION" --project="$PROJECT" --flatten='bindings[].members' \
        --filter='bindings.role:roles/run.invoker' --format='value(bindings.members)' || true
    while IFS= read -r member <&4; do
        if [[ $member == "$wanted" ]]; then
            is_allowed=yes
        elif [[ -n $member ]]; then
            change_caller remove-iam-policy-binding "$service" "$member"
        fi
    done 4<<<"$REPLY"
    [[ -n $is_allowed ]] || change_caller add-iam-policy-binding "$service" "$wanted"
}

change_caller() {
    run run services "$1" "$2" --region="$REGION" --project="$PROJECT" --member="$3" --role=roles/run.invoker \
        --format=none ||
        fail "$2 is deployed, but who may call it could not be set. That takes run.services.setIamPolicy, as in" \
            "roles/run.admin: have it granted to whoever deploys, or let somebody who has it go on"
}

schedule_function() {
    local job
    job="$(read_line "$1/job")"
    read_flags "$WORK/$1/schedule"
    if look scheduler jobs describe "$job" --location="$REGION" --project="$PROJECT" --format='value(state)'; then
        run scheduler jobs update http "$job" --location="$REGION" --project="$PROJECT" "${FLAGS[@]}" \
            --clear-headers --format='value(name,state)'
    else
        [[ -z $DRY_RUN ]] || echo "# or, if the job is there: gcloud scheduler jobs update http, with the same flags"
        run scheduler jobs create http "$job" --location="$REGION" --project="$PROJECT" "${FLAGS[@]}" \
            --format='value(name,state)'
    fi
}

# -- Monitoring --------------------------------------------------------------------------------------------------------

# Put a file of monitoring/ into the plan, with its placeholders filled in.
fill() {
    sed "s/[$]{PREFIX}/$(read_line prefix)/g; s/[$]{PROJECT}/$PROJECT/g; s/[$]{REGION}/$REGION/g" \
        "$HERE/monitoring/$1" >"$WORK/$1"
}

apply_metrics() {
    local path name verb
    look logging metrics list --project="$PROJECT" --format='value(name)' || true
    [[ -z $DRY_RUN ]] || echo "# or update, where a metric is there"
    for path in "$HERE"/monitoring/metric-*.json; do
        fill "${path##*/}"
        name="${path##*/metric-}"
        name="watchkeeper_${name%.json}"
        verb=create
        ! grep -Fqx -- "$name" <<<"$REPLY" || verb=update
        run logging metrics "$verb" "$name" --config-from-file="$WORK/${path##*/}" --project="$PROJECT" --format=none
    done
}

apply_dashboard() {
    local file="$WORK/dashboard.json" text
    fill dashboard.json
    if look monitoring dashboards describe watchkeeper --project="$PROJECT" --format='value(etag)'; then
        # An update names the state that it replaces.
        text="$(cat -- "$file")"
        printf '{"etag": "%s",%s\n' "$REPLY" "${text#\{}" >"$file"
        run monitoring dashboards update watchkeeper --config-from-file="$file" --project="$PROJECT" --format=none
    else
        [[ -z $DRY_RUN ]] || echo "# or update, if the dashboard is there"
        run monitoring dashboards create --config-from-file="$file" --project="$PROJECT" --format=none
    fi
}

# The name of a policy is chosen by Google, so it is found again by its title. An update replaces all of it: what
# people have added is given again.
apply_alerts() {
    local path title found name enabled channels labels
    look alpha monitoring policies list --project="$PROJECT" \
        --format='value[separator="|"](name,displayName,enabled,notificationChannels.list(),userLabels.list())' || true
    [[ -z $DRY_RUN ]] || echo "# or update, where a policy is there"
    for path in "$HERE"/monitoring/alert-*.json; do
        fill "${path##*/}"
        title="$(sed -n 's/^  "displayName": "\(.*\)",$/\1/p' "$path")"
        if found="$(grep -F -- "|$title|" <<<"$REPLY")"; then
            IFS='|' read -r name _ enabled channels labels <<<"$found"
            [[ $found != *$'\n'* ]] || echo "there is more than one alert policy \"$title\"; $name is brought up to date"
            [[ $enabled == False ]] && enabled=--no-enabled || enabled=--enabled
            apply_alert "$title" update "$name" --policy-from-file="$WORK/${path##*/}" "$enabled" \
                --set-notification-channels="$channels" --update-user-labels="$labels"
        else
            apply_alert "$title" create --policy-from-file="$WORK/${path##*/}"
        fi
    done
}

# An alert on a metric is refused until the metric has become known, which takes up to ten minutes.
apply_alert() {
    local title="$1"
    shift
    until run alpha monitoring policies "$@" --project="$PROJECT" --format=none 2>"$WORK/said"; do
        cat "$WORK/said" >&2
        grep -Eq 'Cannot find metric|metric referenced by the provided filter is unknown' "$WORK/said" || return 1
        ((ALERT_TRIES-- > 0)) || fail "the metrics of \"$title\" are not known yet; go on in some minutes"
        echo "the metrics of \"$title\" are new; trying again in $ALERT_PAUSE s"
        sleep "$ALERT_PAUSE"
    done
    cat "$WORK/said" >&2
}

# -- Operating ---------------------------------------------------------------------------------------------------------

# Find a function's Scheduler job, and leave its state in REPLY. Two have the names that they had in the former system:
# whatever calls another address is not ours.
find_job() {
    local job state uri
    job="$(read_line "$1/job")"
    if ! look scheduler jobs describe "$job" --location="$REGION" --project="$PROJECT" \
        --format='value[separator="|"](state,httpTarget.uri)'; then
        [[ -z $DRY_RUN ]] || return 0
        echo "there is no Scheduler job $job"
        return 1
    fi
    IFS='|' read -r state uri <<<"$REPLY"
    REPLY="$state"
    [[ $uri == "$(read_line "$1/url")" ]] || {
        echo "$job calls ${uri:-no URL}, which is not ours; it stays as it is"
        return 1
    }
}

pause_function() { turn_job "$1" pause PAUSED; }

resume_function() { turn_job "$1" resume ENABLED; }

# A job that is not there, or not ours, keeps nobody from pausing the others.
turn_job() {
    find_job "$1" || return 0
    [[ $REPLY == "$3" ]] ||
        run scheduler jobs "$2" "$(read_line "$1/job")" --location="$REGION" --project="$PROJECT"
}

# Have a job run as Cloud Scheduler runs it, and wait until its attempt is answered.
smoke_function() {
    local job service before after="" code="" tries removed
    job="$(read_line "$1/job")"
    service="$(read_line "$1/service")"
    look scheduler jobs describe "$job" --location="$REGION" --project="$PROJECT" --format='value(lastAttemptTime)' ||
        [[ -n $DRY_RUN ]] || fail "there is no Scheduler job $job"
    before="$REPLY"
    run scheduler jobs run "$job" --location="$REGION" --project="$PROJECT" --format=none
    [[ -z $DRY_RUN ]] || return 0
    for ((tries = 0; tries < SMOKE_TRIES; tries++)); do
        look scheduler jobs describe "$job" --location="$REGION" --project="$PROJECT" \
            --format='value[separator="|"](lastAttemptTime,status.code)' || true
        IFS='|' read -r after code <<<"$REPLY"
        [[ $after == "$before" ]] || break
        sleep "$SMOKE_PAUSE"
    done
    [[ $after != "$before" ]] || fail "$job was told to run, and no attempt was seen; look into its log"
    [[ -n $code && $code != 0 ]] || return 0
    # Whoever deploys may not be allowed to read the log; that the attempt failed is to be said all the same.
    removed="resource.labels.service_name=\"$service\" AND jsonPayload.reason:\"signature removed\""
    removed="$(gcloud logging read "$removed" --project="$PROJECT" --freshness=10m --limit=1 \
        --format='value(jsonPayload.reason)')" || true
    [[ -z $removed ]] || fail "$job was refused: Cloud Run removes the signature of its token here. Set" \
        "AUTH_MODE=platform in the settings file, and deploy the functions again"
    fail "the attempt of $job failed with status $code; the log of $service says why"
}

status_function() {
    local service job
    service="$(read_line "$1/service")"
    job="$(read_line "$1/job")"
    look functions describe "$service" --gen2 --region="$REGION" --project="$PROJECT" \
        --format='value[separator="  "](state,serviceConfig.revision,updateTime)' || REPLY="not deployed"
    [[ -n $DRY_RUN ]] || printf '%-10s %-30s %s\n' function "$service" "$REPLY"
    [[ -n $job ]] || return 0
    look scheduler jobs describe "$job" --location="$REGION" --project="$PROJECT" \
        --format='value[separator="  "](state,schedule,timeZone,lastAttemptTime,status.code)' || REPLY="not there"
    [[ -n $DRY_RUN ]] || printf '%-10s %-30s %s\n' schedule "$job" "$REPLY"
}

# Revisions come newest first; the one to go back to stands behind the one that has the traffic. One that never became
# ready can take none.
rollback_function() {
    local service percent revision is_ready serving="" before="" is_behind=""
    service="$(read_line "$1/service")"
    look run services describe "$service" --region="$REGION" --project="$PROJECT" --flatten='status.traffic[]' \
        --format='value(status.traffic.percent,status.traffic.revisionName)' || true
    while IFS=$'\t' read -r percent revision; do
        if [[ $percent == 100 ]]; then serving="$revision"; fi
    done <<<"$REPLY"
    look run revisions list --service="$service" --region="$REGION" --project="$PROJECT" \
        --flatten='status.conditions[]' --filter='status.conditions.type=Ready' \
        --sort-by='~metadata.creationTimestamp' --format='value(metadata.name,status.conditions.status)' || true
    while IFS=$'\t' read -r revision is_ready; do
        if [[ -n $is_behind && -z $before && $is_ready == True ]]; then before="$revision"; fi
        if [[ -n $serving && $revision == "$serving" ]]; then is_behind=yes; fi
    done <<<"$REPLY"
    [[ -z $DRY_RUN ]] || before=THE_REVISION_BEFORE
    if [[ -z $before ]]; then
        echo "$service has no working revision before ${serving:-one with all the traffic}; it stays as it is" >&2
        return 0
    fi
    run run services update-traffic "$service" --region="$REGION" --project="$PROJECT" --to-revisions="$before=100" \
        --format=none
}

destroy_function() {
    local service job
    service="$(read_line "$1/service")"
    job="$(read_line "$1/job")"
    if [[ -n $job ]] && find_job "$1"; then
        run scheduler jobs delete "$job" --location="$REGION" --project="$PROJECT" --quiet
    fi
    if look functions describe "$service" --gen2 --region="$REGION" --project="$PROJECT" --format='value(state)' ||
        [[ -n $DRY_RUN ]]; then
        run functions delete "$service" --gen2 --region="$REGION" --project="$PROJECT" --quiet
    fi
}

confirm_destroy() {
    [[ -z $YES && -z $DRY_RUN ]] || return 0
    local answer=""
    echo "This deletes functions and Scheduler jobs in $PROJECT ($REGION): $(tr '\n' ' ' <"$WORK/functions")"
    read -r -p "Whatever else was set up stays. Type the project's id to go on: " answer || true
    [[ $answer == "$PROJECT" ]] || fail "nothing was deleted"
}

# -- From a verb to its steps ------------------------------------------------------------------------------------------

# Have the plan worked out, or the functions staged. Only what comes of it is used.
plan() {
    local python="${PYTHON:-$HERE/.venv/bin/python}" name given=()
    command -v "$python" >/dev/null ||
        fail "$python is not there: run 'make setup', or name a Python that has requirements-dev.txt in PYTHON"
    [[ -z $SETTINGS ]] || given+=("--settings=$SETTINGS")
    [[ -z $NUMBER ]] || given+=("--number=$NUMBER")
    for name in ${ONLY[@]+"${ONLY[@]}"}; do given+=("--only=$name"); done
    "$python" -m watchkeeper.deploy.target "$1" "$WORK" --project="$PROJECT" --region="$REGION" ${given[@]+"${given[@]}"}
}

# Plan anew with the number of the project, where that is part of what is deployed.
plan_number() {
    [[ -s $WORK/needs_number ]] || return 0
    look projects describe "$PROJECT" --format='value(projectNumber)' || [[ -n $DRY_RUN ]] ||
        fail "there is no project $PROJECT"
    [[ -n $REPLY ]] || return 0
    NUMBER="$REPLY"
    plan plan
}

add_steps() {
    local step name
    case "$1" in
        setup)
            for step in apis firestore accounts roles secrets topics callers; do STEPS+=("setup setup_$step -"); done
            ;;
        functions)
            STEPS+=("functions stage_functions -")
            while IFS= read -r name; do STEPS+=("functions deploy_function $name"); done <"$WORK/functions"
            ;;
        monitoring)
            for step in metrics dashboard alerts; do STEPS+=("monitoring apply_$step -"); done
            ;;
        schedules | smoke | pause | resume)
            step="${1/schedules/schedule}_function"
            while IFS= read -r name; do
                [[ ! -s $WORK/$name/job ]] || STEPS+=("$1 $step $name")
            done <"$WORK/functions"
            ;;
        *) while IFS= read -r name; do STEPS+=("$1 $1_function $name"); done <"$WORK/functions" ;;
    esac
}

run_steps() {
    local verb step name
    while ((STEPS_DONE < ${#STEPS[@]})); do
        read -r verb step name <<<"${STEPS[STEPS_DONE]}"
        [[ $verb == status ]] || say "$(described "${STEPS[STEPS_DONE]}")"
        if [[ $name == - ]]; then "$step"; else "$step" "$name"; fi
        STEPS_DONE=$((STEPS_DONE + 1))
    done
}

described() {
    local verb step name
    read -r verb step name <<<"$1"
    if [[ $name == - ]]; then echo "${step/_/: }"; else echo "${step%_function}: $name"; fi
}

# Whatever ended it, a signal too: remove the plan, and where steps are left say how far it came and how to go on.
finish() {
    local status=$? number
    [[ -z $WORK ]] || rm -rf -- "$WORK"
    if ((STEPS_DONE < ${#STEPS[@]})); then
        {
            echo
            for number in "${!STEPS[@]}"; do
                if ((number < STEPS_DONE)); then
                    printf 'done      %s\n' "$(described "${STEPS[number]}")"
                elif ((number == STEPS_DONE)); then
                    printf 'FAILED    %s\n' "$(described "${STEPS[number]}")"
                else
                    printf 'not done  %s\n' "$(described "${STEPS[number]}")"
                fi
            done
            echo "To go on:"
            go_on
        } >&2
    fi
    exit "$status"
}

# Print one command for each verb that is not done, with the functions that are left of it.
go_on() {
    local number verb step name last="" names=()
    for ((number = STEPS_DONE; number < ${#STEPS[@]}; number++)); do
        read -r verb step name <<<"${STEPS[number]}"
        if [[ -n $last && $verb != "$last" ]]; then
            print_command "$last" ${names[@]+"${names[@]}"}
            names=()
        fi
        last="$verb"
        [[ $name == - ]] || names+=("$name")
    done
    print_command "$last" ${names[@]+"${names[@]}"}
}

print_command() {
    local verb="$1"
    shift
    [[ $verb != setup ]] || set -- ${ONLY[@]+"${ONLY[@]}"}
    printf '  %q %q --project %q --region %q' "$HERE/deploy_functions.sh" "$verb" "$PROJECT" "$REGION"
    [[ -z $SETTINGS ]] || printf ' --settings %q' "$SETTINGS"
    (($# == 0)) || { printf ' --only'; printf ' %q' "$@"; }
    printf '%s\n' "${DRY_RUN:+ --dry-run}"
}

read_command_line() {
    while (($#)); do
        case "$1" in
            --help | -h) usage; exit 0 ;;
            --project | --region | --settings)
                [[ $# -ge 2 && -n $2 && $2 != --* ]] || misused "$1 needs a value"
                case "$1" in --project) PROJECT="$2" ;; --region) REGION="$2" ;; *) SETTINGS="$2" ;; esac
                shift
                ;;
            --only)
                while [[ $# -ge 2 && $2 != --* ]]; do ONLY+=("$2"); shift; done
                ((${#ONLY[@]})) || misused "--only needs the names of functions"
                ;;
            --dry-run) DRY_RUN=yes ;;
            --yes) YES=yes ;;
            -*) misused "there is no option $1" ;;
            *) [[ -z $VERB ]] || misused "there are two verbs, $VERB and $1"; VERB="$1" ;;
        esac
        shift
    done
    case "$VERB" in
        setup | functions | schedules | monitoring | all | smoke | status | pause | resume | rollback | destroy) ;;
        "") misused "a verb is missing" ;;
        *) misused "there is no verb $VERB" ;;
    esac
    [[ -n $PROJECT && -n $REGION ]] || misused "--project and --region are needed"
}

find_settings() {
    if [[ -n $SETTINGS ]]; then
        [[ -f $SETTINGS ]] || fail "there is no settings file $SETTINGS"
        SETTINGS="$(cd -- "$(dirname -- "$SETTINGS")" && pwd)/$(basename -- "$SETTINGS")"
    elif [[ -f $HERE/.env ]]; then
        SETTINGS="$HERE/.env"
    fi
}

main() {
    local verb verbs
    read_command_line "$@"
    find_settings
    cd -- "$HERE"
    [[ -n $DRY_RUN ]] || command -v gcloud >/dev/null ||
        fail "gcloud is not installed: https://cloud.google.com/sdk/docs/install"
    # Nothing is to wait for an answer that nobody gives.
    export CLOUDSDK_CORE_DISABLE_PROMPTS=1
    trap finish EXIT
    umask 077
    WORK="$(mktemp -d)"
    plan plan
    case "$VERB" in
        all) verbs=(setup functions schedules monitoring) ;;
        *) verbs=("$VERB") ;;
    esac
    [[ $VERB != destroy ]] || confirm_destroy
    case "$VERB" in setup | functions | all) plan_number ;; esac
    for verb in "${verbs[@]}"; do add_steps "$verb"; done
    ((${#STEPS[@]})) || fail "there is nothing to do: no Cloud Scheduler job calls ${ONLY[*]}"
    run_steps
    [[ -n $DRY_RUN || $VERB == status ]] || echo "== done"
}

main "$@"
