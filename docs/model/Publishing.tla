----------------------------- MODULE Publishing -----------------------------
(* One post, from a client's wish to its end: what is promised, and the mechanisms that carry it.     *)
(*                                                                                                    *)
(* Each action is one atomic step of the real thing: one transaction of the database, one call of a   *)
(* platform, one message. Between any two steps everybody else may go on, or a process may die. An    *)
(* operation whose commit relies on all that it has read is one action; the two that matter most, the *)
(* cancel and the claim, are shown as they are: read row by row, then commit on a condition. Rows are *)
(* compared by value, not by revision: that lets more commits through than the service does.          *)
(*                                                                                                    *)
(* Without is a set of mechanisms that are left out, to see what each one is for; it is empty for the *)
(* model of the service. tests/proofs/test_model.py runs all of it.                                   *)
EXTENDS Naturals, TLC

CONSTANTS Targets,     \* of the post, one for each social account
          Publishers,  \* processes that take messages off the publish queue
          Armings,     \* how often a client may put the post on the clock
          Faults,      \* how many things may go wrong in one life
          Without      \* mechanisms that are left out

VARIABLES
    post, target,                            \* rows of the database: the only truth
    schedules, queue,                        \* what EventBridge Scheduler and the publish queue hold
    canceller, armer, sending, publisher,    \* what processes have in memory, gone when they die
    due, faults,                             \* whose moment has come; what has gone wrong so far
    late,                                    \* calls of platforms that may take effect yet
    public, out, promised, told, owed        \* what the world has seen, to judge by

rows  == <<post, target>>
aws   == <<schedules, queue>>
world == <<public, late, out, promised>>
vars  == <<rows, aws, canceller, armer, sending, publisher, due, faults, world, told, owed>>

Has(mechanism) == mechanism \notin Without

None  == 0                       \* no arming: armings are counted from one, and name the schedule
Names == 1..Armings
Ended == {"PUBLISHED", "PARTIALLY_PUBLISHED", "FAILED"}

Init ==
    /\ post = [status |-> "DRAFT", generation |-> 0, pending |-> None, workflow |-> None]
    /\ target = [t \in Targets |-> [status |-> "DRAFT", workflow |-> None, unknown |-> FALSE]]
    /\ schedules = {} /\ queue = {}
    /\ canceller = [phase |-> "idle"]
    /\ armer = [g \in Names |-> "idle"]
    /\ sending = {}
    /\ publisher = [p \in Publishers |-> [phase |-> "idle"]]
    /\ due = {} /\ faults = 0
    /\ public = {} /\ late = {}              \* targets that a platform has, or will have, whoever knows
    /\ out = [t \in Targets |-> 0]            \* how often each was sent since it was last scheduled
    /\ promised = {}                          \* reported canceled, and not scheduled again since
    /\ told = [k \in {"scheduled", "cancelled", "ended"} |-> 0]   \* events of the present arming
    /\ owed = {}                              \* events yet to be written, if not with their commit

Fault == faults < Faults /\ faults' = faults + 1

(* The event is written in the transaction of the change that it tells of. *)
Tell(kinds) ==
    IF Has("outbox")
    THEN /\ told' = [k \in DOMAIN told |-> told[k] + (IF k \in kinds THEN 1 ELSE 0)]
         /\ UNCHANGED owed
    ELSE owed' = owed \cup kinds /\ UNCHANGED told
TellLater ==
    /\ owed /= {} /\ owed' = {}
    /\ \/ told' = [k \in DOMAIN told |-> told[k] + (IF k \in owed THEN 1 ELSE 0)] /\ UNCHANGED faults
       \/ Fault /\ UNCHANGED told
    /\ UNCHANGED <<rows, aws, canceller, armer, sending, publisher, due, world>>
Quiet == UNCHANGED <<told, owed>>

(* What the targets of a post that is being published come to. *)
Derived(targets) ==
    LET are == {targets[t].status : t \in Targets} IN
    CASE are \cap {"SCHEDULED", "PUBLISHING"} /= {} -> "PUBLISHING"
      [] {"PUBLISHED", "FAILED"} \subseteq are     -> "PARTIALLY_PUBLISHED"
      [] "PUBLISHED" \in are                       -> "PUBLISHED"
      [] "FAILED" \in are                          -> "FAILED"
      [] OTHER                                     -> "CANCELED"
Concluded(row, targets) ==
    IF row.status = "PUBLISHING" /\ Derived(targets) \in Ended
    THEN [row EXCEPT !.status = Derived(targets), !.workflow = None]
    ELSE row
Ending(before, after) == IF before.status /= after.status /\ after.status \in Ended THEN {"ended"} ELSE {}

(* A target that will not go out; one that may be public is never said to be canceled. *)
Stopped(row) == [row EXCEPT !.workflow = None,
                            !.status = IF row.unknown /\ Has("unknown is not canceled")
                                       THEN "FAILED" ELSE "CANCELED"]

-----------------------------------------------------------------------------
(* A client puts the post on the clock, again or for the first time. The first commit accepts it, and *)
(* takes any older arming out of force. Deleting an old schedule may fail, and nobody minds.          *)

Tidied(names) == {schedules, schedules \ names}

Schedule ==
    LET g == post.generation + 1
        wanted == {"DRAFT", "SCHEDULED", "FAILED"} \cup (IF post.status = "CANCELED" THEN {"CANCELED"} ELSE {})
        again == {t \in Targets : target[t].status \in wanted}
        kept(name) == IF Has("first commit disarms") THEN None ELSE name
    IN  /\ g \in Names /\ again /= {}
        /\ post.status \in {"DRAFT", "SCHEDULED", "FAILED", "CANCELED"}
        /\ post' = [status |-> "SCHEDULED", generation |-> g, workflow |-> kept(post.workflow),
                    pending |-> IF Has("pending arming") THEN g ELSE None]
        /\ target' = [t \in Targets |->
                        IF t \in again
                        THEN [target[t] EXCEPT !.status = "SCHEDULED", !.workflow = kept(@)]
                        ELSE target[t]]
        /\ schedules' \in Tidied({post.workflow, post.pending})
        /\ armer' = [armer EXCEPT ![g] = "create"]
        /\ promised' = promised \ again
        /\ out' = [t \in Targets |-> IF t \in again THEN 0 ELSE out[t]]
        /\ told' = [k \in DOMAIN told |-> 0] /\ owed' = {}
        /\ UNCHANGED <<queue, canceller, sending, publisher, due, faults, public, late>>

(* Then the schedule is made (unless its moment has passed), and then a second commit puts it in      *)
(* force. The same steps again, from the start, are how the reconciler completes what was left.       *)
MakeSchedule(g) ==
    /\ armer[g] = "create"
    /\ \/ /\ armer' = [armer EXCEPT ![g] = "commit"]
          /\ schedules' = IF g \in due THEN schedules ELSE schedules \cup {g}
          /\ UNCHANGED faults
       \/ Fault /\ armer' = [armer EXCEPT ![g] = "idle"] /\ schedules' \in {schedules, schedules \cup {g}}
    /\ UNCHANGED <<rows, queue, canceller, sending, publisher, due, world, told, owed>>

CommitArming(g) ==
    /\ armer[g] = "commit" /\ armer' = [armer EXCEPT ![g] = "idle"]
    /\ \/ IF \/ post.pending = g
             \/ ~Has("pending arming") /\ post.generation = g /\ post.status = "SCHEDULED"
          THEN /\ post' = [post EXCEPT !.workflow = g, !.pending = None]
               /\ target' = [t \in Targets |-> IF target[t].status = "SCHEDULED"
                                               THEN [target[t] EXCEPT !.workflow = g] ELSE target[t]]
               /\ Tell({"scheduled"})
               /\ UNCHANGED <<schedules, faults>>
          ELSE /\ schedules' \in Tidied({g} \ {post.workflow})
               /\ Quiet /\ UNCHANGED <<rows, faults>>
       \/ Fault /\ Quiet /\ UNCHANGED <<rows, schedules>>
    /\ UNCHANGED <<queue, canceller, sending, publisher, due, world>>

-----------------------------------------------------------------------------
(* A client cancels, wholly or one target: reads the post, reads its targets (a moment later: a read  *)
(* may come upon another commit half way), decides, and commits if every row is still as it was read. *)
(* If not, it begins again. What it reports as canceled is promised.                                  *)

CancelReadsPost ==
    /\ canceller.phase = "idle"
    /\ post.status \in {"SCHEDULED", "PUBLISHING", "PARTIALLY_PUBLISHED"}
    /\ canceller' = [phase |-> "half", post |-> post]
    /\ UNCHANGED <<rows, aws, armer, sending, publisher, due, faults, world, told, owed>>

CancelReadsTargets ==
    /\ canceller.phase = "half"
    /\ canceller' = [phase |-> "decides", post |-> canceller.post, target |-> target]
    /\ UNCHANGED <<rows, aws, armer, sending, publisher, due, faults, world, told, owed>>

CancelCommits(chosen) ==
    LET before == canceller.target
        row == canceller.post
        whole == chosen = Targets
        stop == {t \in chosen :
                    /\ before[t].status \in {"SCHEDULED", "FAILED"}
                    /\ ~(before[t].status = "FAILED" /\ before[t].unknown /\ Has("unknown is not canceled"))}
        stoppable == \E t \in stop : before[t].status = "SCHEDULED" \/ row.status = "PARTIALLY_PUBLISHED"
        givesUp == whole /\ row.status = "PARTIALLY_PUBLISHED"
        after == [t \in Targets |-> IF t \in stop THEN Stopped(before[t]) ELSE target[t]]
        left(t) == \/ after[t].status = "SCHEDULED"
                   \/ row.status /= "SCHEDULED" /\ after[t].status = "FAILED"
                   \/ row.status /= "SCHEDULED" /\ after[t].status = "PUBLISHING" /\ after[t].workflow = row.workflow
        isOver == whole \/ ~\E t \in Targets : left(t)
        isAsRead == post = row /\ (target = before \/ ~Has("cancel relies on targets"))
    IN  /\ canceller.phase = "decides"
        /\ canceller' = [phase |-> "idle"]
        /\ IF ~isAsRead \/ ~(stoppable \/ givesUp)
           THEN Quiet /\ UNCHANGED <<rows, schedules, world>>
           ELSE IF ~Has("cancel commits")
           THEN \* it only deletes the schedule, and calls that a cancel
                /\ schedules' \in Tidied({row.workflow, row.pending})
                /\ promised' = promised \cup stop
                /\ Quiet /\ UNCHANGED <<rows, public, late, out>>
           ELSE /\ target' = after
                /\ post' = IF isOver
                           THEN [row EXCEPT !.status = "CANCELED", !.workflow = None, !.pending = None]
                           ELSE Concluded(row, after)
                /\ Tell(IF isOver THEN {"cancelled"} ELSE Ending(post, post'))
                /\ promised' = promised \cup {t \in stop : after[t].status = "CANCELED"}
                /\ schedules' \in Tidied({row.workflow, row.pending} \ {post'.workflow, post'.pending})
                /\ UNCHANGED <<public, late, out>>
        /\ UNCHANGED <<queue, armer, sending, publisher, due, faults>>

-----------------------------------------------------------------------------
(* Time passes, and the schedule fires: at least once, perhaps late, perhaps long out of date. A fire *)
(* that is not of the arming in force does nothing. One that is begins the publishing, then sends one *)
(* message for each target. What is more than an hour late fails instead.                             *)

MomentComes(g) ==
    /\ g <= post.generation /\ g \notin due /\ due' = due \cup {g}
    /\ UNCHANGED <<rows, aws, canceller, armer, sending, publisher, faults, world, told, owed>>

Start(g) ==
    LET waiting == {t \in Targets : target[t].status = "SCHEDULED"} IN
    IF post.status \notin {"SCHEDULED", "PUBLISHING"} \/ (post.workflow /= g /\ Has("generations"))
    THEN Quiet /\ UNCHANGED <<rows, sending>>
    ELSE \/ /\ post' = [post EXCEPT !.status = "PUBLISHING"]
            /\ sending' = sending \cup {<<t, g>> : t \in waiting}
            /\ Quiet /\ UNCHANGED target
         \/ /\ waiting /= {}                                              \* MISSED_SCHEDULE
            /\ target' = [t \in Targets |-> IF t \in waiting
                                            THEN [target[t] EXCEPT !.status = "FAILED"] ELSE target[t]]
            /\ post' = Concluded([post EXCEPT !.status = "PUBLISHING"], target')
            /\ Tell(Ending(post, post')) /\ UNCHANGED sending

Fire(g) ==
    /\ g \in schedules \cap due
    /\ \/ schedules' = schedules \ {g} /\ UNCHANGED faults
       \/ Fault /\ UNCHANGED schedules                                    \* it will fire again
    /\ Start(g)
    /\ UNCHANGED <<queue, canceller, armer, publisher, due, world>>

SendMessages ==
    /\ sending /= {} /\ sending' = {}
    /\ \/ queue' = queue \cup sending /\ UNCHANGED faults
       \/ Fault /\ UNCHANGED queue                                        \* it dies before that
    /\ UNCHANGED <<rows, schedules, canceller, armer, publisher, due, world, told, owed>>

-----------------------------------------------------------------------------
(* A publisher takes a message, which may come twice: reads the post, reads the target, claims it on  *)
(* the condition that its row is as it was read, calls the platform once, and settles.                *)

Idle(p) == publisher' = [publisher EXCEPT ![p] = [phase |-> "idle"]]
Goes(p, phase) == publisher' = [publisher EXCEPT ![p].phase = phase]
Message(p) == <<publisher[p].target, publisher[p].workflow>>
Done(p) == /\ Idle(p)
           /\ \/ queue' = queue \ {Message(p)} /\ UNCHANGED faults
              \/ Fault /\ UNCHANGED queue                                 \* it will come again

Allows(g) == post.status = "PUBLISHING" /\ (post.workflow = g \/ ~Has("generations"))
Waits(t, g) == target[t].status = "SCHEDULED" /\ (target[t].workflow = g \/ ~Has("generations"))

PublisherReadsPost(p) ==
    /\ publisher[p].phase = "idle"
    /\ \E m \in queue :
        IF Allows(m[2])
        THEN /\ publisher' = [publisher EXCEPT ![p] = [phase |-> "half", target |-> m[1], workflow |-> m[2]]]
             /\ UNCHANGED queue
        ELSE queue' = queue \ {m} /\ UNCHANGED publisher
    /\ UNCHANGED <<rows, schedules, canceller, armer, sending, due, faults, world, told, owed>>

PublisherReadsTarget(p) ==
    /\ publisher[p].phase = "half"
    /\ IF Waits(publisher[p].target, publisher[p].workflow)
       THEN Goes(p, "ready") /\ UNCHANGED <<queue, faults>>
       ELSE Done(p)
    /\ UNCHANGED <<rows, schedules, canceller, armer, sending, due, world, told, owed>>

Claim(p) ==
    LET t == publisher[p].target IN
    /\ publisher[p].phase = "ready"
    /\ IF ~Has("claim") THEN Goes(p, "claimed") /\ UNCHANGED <<target, queue, faults>>
       ELSE IF Waits(t, publisher[p].workflow) \/ ~Has("claim on condition")
       THEN /\ target' = [target EXCEPT ![t].status = "PUBLISHING"]
            /\ Goes(p, "claimed") /\ UNCHANGED <<queue, faults>>
       ELSE Done(p) /\ UNCHANGED target
    /\ UNCHANGED <<post, schedules, canceller, armer, sending, due, world, told, owed>>

Sent(t) == public' = public \cup {t} /\ out' = [out EXCEPT ![t] = @ + 1] /\ UNCHANGED late
SentLate(t) == late' = late \cup {t} /\ out' = [out EXCEPT ![t] = @ + 1] /\ UNCHANGED public
Unsent == UNCHANGED <<public, late, out>>

CallPlatform(p) ==
    LET t == publisher[p].target IN
    /\ publisher[p].phase = "claimed"
    /\ \/ Sent(t) /\ Goes(p, "published") /\ UNCHANGED faults
       \/ Unsent /\ Goes(p, "rejected") /\ UNCHANGED faults
       \/ Fault /\ Unsent /\ Goes(p, "refused")       \* for now: nothing was sent, surely
       \/ Fault /\ (Sent(t) \/ SentLate(t) \/ Unsent) /\ Goes(p, "answer lost")
    /\ UNCHANGED <<rows, aws, canceller, armer, sending, due, promised, told, owed>>

(* A call whose answer was lost may take effect at any time, or never.                                *)
Arrives(t) ==
    /\ t \in late /\ late' = late \ {t} /\ public' = public \cup {t}
    /\ UNCHANGED <<rows, aws, canceller, armer, sending, publisher, due, faults, out, promised, told, owed>>

Settle(p) ==
    LET t == publisher[p].target
        goesBack == /\ target[t].workflow = post.workflow /\ post.status = "PUBLISHING"
                    \/ ~Has("release relies on post")
        released == IF goesBack THEN [target[t] EXCEPT !.status = "SCHEDULED"] ELSE Stopped(target[t])
        settled == CASE publisher[p].phase = "published" -> [target[t] EXCEPT !.status = "PUBLISHED", !.unknown = FALSE]
                     [] publisher[p].phase = "rejected" -> [target[t] EXCEPT !.status = "FAILED"]
                     [] publisher[p].phase = "refused"  -> released
                     [] OTHER -> IF Has("lost answer is unknown") THEN target[t] ELSE released
    IN  /\ publisher[p].phase \in {"published", "rejected", "refused", "answer lost"}
        /\ IF target[t].status /= "PUBLISHING"
           THEN Done(p) /\ UNCHANGED target
           ELSE /\ target' = [target EXCEPT ![t] = settled]
                /\ IF settled.status = "SCHEDULED"
                   THEN Idle(p) /\ UNCHANGED <<queue, faults>>            \* the next attempt's message
                   ELSE Done(p)
        /\ UNCHANGED <<post, schedules, canceller, armer, sending, due, world, told, owed>>

PublisherDies(p) ==
    /\ publisher[p].phase /= "idle" /\ Fault /\ Idle(p)                   \* the message comes again
    /\ UNCHANGED <<rows, aws, canceller, armer, sending, due, world, told, owed>>

-----------------------------------------------------------------------------
(* The reconciler does, every minute, what should have happened, whether or not it still would.       *)

CompleteArming ==
    /\ Has("reconcile: armings")
    /\ post.pending /= None /\ armer[post.pending] = "idle"
    /\ armer' = [armer EXCEPT ![post.pending] = "create"]
    /\ UNCHANGED <<rows, aws, canceller, sending, publisher, due, faults, world, told, owed>>

StartOverdue ==
    /\ Has("reconcile: overdue posts")
    /\ post.status = "SCHEDULED" /\ post.workflow \in due
    /\ Start(post.workflow)
    /\ UNCHANGED <<aws, canceller, armer, publisher, due, faults, world>>

SendAgain(t) ==
    /\ Has("reconcile: stalled targets")
    /\ post.status = "PUBLISHING" /\ target[t].status = "SCHEDULED" /\ target[t].workflow /= None
    /\ <<t, target[t].workflow>> \notin queue
    /\ queue' = queue \cup {<<t, target[t].workflow>>}
    /\ UNCHANGED <<rows, schedules, canceller, armer, sending, publisher, due, faults, world, told, owed>>

(* A lease is longer than any function may run: whoever holds a claim that ran out is gone. Its       *)
(* platform is asked: it has the post, or it has not, or cannot tell. What it has not, it may yet get. *)
IsHeld(t) == \E p \in Publishers : publisher[p].phase \notin {"idle", "half", "ready"} /\ publisher[p].target = t

AskPlatform(t) ==
    /\ Has("reconcile: expired claims")
    /\ target[t].status = "PUBLISHING" /\ (~IsHeld(t) \/ ~Has("lease outlives function"))
    /\ IF Has("expired claim asks")
       THEN /\ target' \in {[target EXCEPT ![t].status = "FAILED", ![t].unknown = TRUE],
                            IF t \in public
                            THEN [target EXCEPT ![t].status = "PUBLISHED", ![t].unknown = FALSE]
                            ELSE [target EXCEPT ![t].status = "FAILED", ![t].unknown = Has("absence is not final")]}
            /\ UNCHANGED queue
       ELSE /\ target' = [target EXCEPT ![t].status = "SCHEDULED"]
            /\ queue' = queue \cup {<<t, target[t].workflow>>}
    /\ UNCHANGED <<post, schedules, canceller, armer, sending, publisher, due, faults, world, told, owed>>

(* Whoever settles a target concludes, and the reconciler does if they died. *)
Conclude ==
    /\ Has("reconcile: ended posts")
    /\ Concluded(post, target) /= post
    /\ post' = Concluded(post, target) /\ Tell({"ended"})
    /\ UNCHANGED <<target, aws, canceller, armer, sending, publisher, due, faults, world>>

-----------------------------------------------------------------------------
Publisher(p) ==
    \/ PublisherReadsPost(p) \/ PublisherReadsTarget(p) \/ Claim(p) \/ CallPlatform(p) \/ Settle(p)

Next ==
    \/ Schedule \/ CancelReadsPost \/ CancelReadsTargets
    \/ \E chosen \in {Targets} \cup {{t} : t \in Targets} : CancelCommits(chosen)
    \/ \E g \in Names : MakeSchedule(g) \/ CommitArming(g) \/ MomentComes(g) \/ Fire(g)
    \/ SendMessages \/ TellLater
    \/ \E p \in Publishers : Publisher(p) \/ PublisherDies(p)
    \/ CompleteArming \/ StartOverdue \/ Conclude
    \/ \E t \in Targets : SendAgain(t) \/ AskPlatform(t) \/ Arrives(t)

(* Time passes, processes that live go on, the queue delivers, the reconciler runs. Clients need not  *)
(* come back, no schedule ever need fire, and nothing needs to die.                                   *)
Fairness ==
    /\ \A g \in Names : WF_vars(MomentComes(g)) /\ WF_vars(MakeSchedule(g)) /\ WF_vars(CommitArming(g))
    /\ WF_vars(SendMessages) /\ WF_vars(TellLater)
    /\ \A p \in Publishers : WF_vars(Publisher(p))
    /\ WF_vars(CompleteArming) /\ WF_vars(StartOverdue) /\ WF_vars(Conclude)
    /\ \A t \in Targets : WF_vars(SendAgain(t)) /\ WF_vars(AskPlatform(t))

Spec == Init /\ [][Next]_vars /\ Fairness

(* Which is which of the targets, and of the publishers, makes no difference. *)
Alike == Permutations(Targets) \cup Permutations(Publishers)

-----------------------------------------------------------------------------
(* What is promised: nothing bad happens … *)

NeverAfterCancel == promised \cap public = {}

NeverTwice == \A t \in Targets : out[t] <= 1

(* What a row says of a target is so; FAILED with unknown says that it may be, or become, public. *)
RowsTellTheTruth ==
    \A t \in Targets :
        /\ target[t].status = "PUBLISHED" => t \in public
        /\ target[t].status = "CANCELED" => t \notin public
        /\ target[t].status = "FAILED" /\ ~target[t].unknown => t \notin public

(* Nothing begins but what was asked for last, once its moment has come. *)
OnlyWhatIsInForce ==
    [][\A t \in Targets : target[t].status = "SCHEDULED" /\ target'[t].status = "PUBLISHING" =>
            /\ post.status = "PUBLISHING"
            /\ target[t].workflow = post.generation
            /\ post.generation \in due]_vars

NothingWaitsInACanceledPost ==
    post.status = "CANCELED" => \A t \in Targets : target[t].status /= "SCHEDULED"

(* Each transition that subscribers hear of has its event, once. *)
ToldOnce ==
    LET count(k) == told[k] + (IF k \in owed THEN 1 ELSE 0)
        one(isSo) == IF isSo THEN 1 ELSE 0
    IN  /\ count("cancelled") = one(post.status = "CANCELED")
        /\ \A k \in DOMAIN told : count(k) <= 1
        /\ post.status \in Ended => count("ended") = 1
        /\ count("ended") = 1 => post.status \in Ended \cup {"CANCELED"}
        /\ post.workflow /= None \/ post.status \in Ended => count("scheduled") = 1

(* … and something good does. *)

IsAtRest == /\ post.status \notin {"SCHEDULED", "PUBLISHING"}
            /\ \A t \in Targets : target[t].status \notin {"SCHEDULED", "PUBLISHING"}

EveryPostEnds == <>[]IsAtRest

EveryArmingCounts ==
    \A g \in Names :
        (post.status = "SCHEDULED" /\ post.generation = g)
            ~> (post.workflow = g \/ post.generation > g \/ post.status /= "SCHEDULED")

=============================================================================
