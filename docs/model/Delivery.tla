------------------------------ MODULE Delivery ------------------------------
(* One event, from its row in the outbox to everyone who asked to hear of it. That each change of a   *)
(* post has such a row, once, is shown in Publishing; here it is followed. See there how to read this. *)
EXTENDS Naturals

CONSTANTS Endpoints,   \* that are subscribed
          Deliverers,  \* processes that take messages off the delivery queue
          Attempts,    \* how often one delivery is tried
          Faults,      \* how many things may go wrong
          Changes,     \* how often its owner enables or disables an endpoint
          Without      \* mechanisms that are left out

VARIABLES
    outbox, delivery, endpoint,            \* rows of the database: the only truth
    topic, queue,                          \* messages on their way
    fan, deliverer, sweeping,              \* what processes have in memory, gone when they die
    faults, changes,                       \* what has gone wrong, and been changed, so far
    copies, taken                          \* what the world has seen, to judge by

rows == <<outbox, delivery, endpoint>>
so   == <<faults, changes>>
seen == <<copies, taken>>
vars == <<rows, topic, queue, fan, deliverer, sweeping, so, seen>>

Has(mechanism) == mechanism \notin Without
Fault == faults < Faults /\ faults' = faults + 1 /\ UNCHANGED changes

NoOne   == "no one"
Missing == [status |-> "MISSING", attempts |-> 0, lease |-> NoOne]

Init ==
    /\ outbox = TRUE                              \* pendingSince is set
    /\ delivery = [e \in Endpoints |-> Missing]
    /\ endpoint \in [Endpoints -> {"ENABLED", "DISABLED"}]
    /\ topic \in BOOLEAN                          \* announced, or whoever was to do so died
    /\ queue = {}
    /\ fan = [phase |-> "idle"]
    /\ deliverer = [d \in Deliverers |-> [phase |-> "idle"]]
    /\ sweeping = {}
    /\ faults = 0 /\ changes = 0
    /\ copies = [e \in Endpoints |-> 0]           \* deliveries made of the event
    /\ taken = [e \in Endpoints |-> 0]            \* how often its receiver took it

-----------------------------------------------------------------------------
(* Fan-out makes a delivery for each endpoint, under an id that derives from event and endpoint, then *)
(* takes the event off the outbox. If it dies the message comes again.                                *)

FanOutBegins ==
    /\ topic /\ fan.phase = "idle"
    /\ IF outbox
       THEN /\ fan' = [phase |-> "stores", left |-> Endpoints, stored |-> {}]
            /\ outbox' = Has("rows before outbox")
            /\ UNCHANGED topic
       ELSE topic' = FALSE /\ UNCHANGED <<fan, outbox>>
    /\ UNCHANGED <<delivery, endpoint, queue, deliverer, sweeping, so, seen>>

FanOutStores(e) ==
    /\ fan.phase = "stores" /\ e \in fan.left
    /\ fan' = [fan EXCEPT !.left = @ \ {e}, !.stored = @ \cup {e}]
    /\ IF delivery[e] = Missing \/ ~Has("derived delivery ids")
       THEN /\ delivery' = [delivery EXCEPT ![e] = [Missing EXCEPT !.status = "PENDING"]]
            /\ copies' = [copies EXCEPT ![e] = @ + 1]
       ELSE UNCHANGED <<delivery, copies>>
    /\ UNCHANGED <<outbox, endpoint, topic, queue, deliverer, sweeping, so, taken>>

FanOutSends ==
    /\ fan.phase = "stores" /\ fan.stored /= {}
    /\ queue' = queue \cup fan.stored
    /\ fan' = [fan EXCEPT !.stored = {}]
    /\ UNCHANGED <<rows, topic, deliverer, sweeping, so, seen>>

FanOutEnds ==
    /\ fan.phase = "stores" /\ fan.left = {} /\ fan.stored = {}
    /\ outbox' = FALSE /\ fan' = [phase |-> "idle"]
    /\ \/ topic' = FALSE /\ UNCHANGED so
       \/ Fault /\ UNCHANGED topic                                        \* the message comes again
    /\ UNCHANGED <<delivery, endpoint, queue, deliverer, sweeping, seen>>

FanOutDies ==
    /\ fan.phase /= "idle" /\ Fault /\ fan' = [phase |-> "idle"]
    /\ UNCHANGED <<rows, topic, queue, deliverer, sweeping, seen>>

AnnouncementIsLost ==
    /\ topic /\ fan.phase = "idle" /\ Fault /\ topic' = FALSE
    /\ UNCHANGED <<rows, queue, fan, deliverer, sweeping, seen>>

-----------------------------------------------------------------------------
(* A deliverer takes a message, leases the delivery, looks at the endpoint, calls it, and records it. *)

Idle(d) == deliverer' = [deliverer EXCEPT ![d] = [phase |-> "idle"]]
Goes(d, phase) == deliverer' = [deliverer EXCEPT ![d].phase = phase]
Begins(d, e, phase) == deliverer' = [deliverer EXCEPT ![d] = [phase |-> phase, endpoint |-> e]]

(* A lease is longer than any function may run: who is not at it any more has lost it. *)
IsLeased(e) ==
    \E d \in Deliverers : delivery[e].lease = d /\ deliverer[d].phase /= "idle" /\ deliverer[d].endpoint = e

Takes(d) ==
    /\ deliverer[d].phase = "idle"
    /\ \E e \in queue :
        /\ \/ queue' = queue \ {e} /\ UNCHANGED so
           \/ Fault /\ UNCHANGED queue                                    \* it comes twice
        /\ CASE delivery[e].status = "PARKED" -> Begins(d, e, "looks again") /\ UNCHANGED delivery
             [] /\ delivery[e].status = "PENDING"
                /\ ~IsLeased(e) \/ ~Has("attempt lease") ->
                    /\ delivery' = [delivery EXCEPT ![e].lease = d]
                    /\ Begins(d, e, "looks")
             [] OTHER -> UNCHANGED <<deliverer, delivery>>
    /\ UNCHANGED <<outbox, endpoint, topic, fan, sweeping, seen>>

Looks(d) ==
    LET e == deliverer[d].endpoint IN
    /\ deliverer[d].phase = "looks"
    /\ Goes(d, IF endpoint[e] = "DISABLED" THEN "parks" ELSE "calls")
    /\ UNCHANGED <<rows, topic, queue, fan, sweeping, so, seen>>

Calls(d) ==
    LET e == deliverer[d].endpoint IN
    /\ deliverer[d].phase = "calls"
    /\ \/ taken' = [taken EXCEPT ![e] = 1] /\ (Goes(d, "taken") \/ Goes(d, "failed"))
       \/ UNCHANGED taken /\ (Goes(d, "failed") \/ Goes(d, "gone"))
    /\ UNCHANGED <<rows, topic, queue, fan, sweeping, so, copies>>

DisablesGone(d) ==
    /\ deliverer[d].phase = "gone" /\ Goes(d, "parks")
    /\ endpoint' = [endpoint EXCEPT ![deliverer[d].endpoint] = "DISABLED"]
    /\ UNCHANGED <<outbox, delivery, topic, queue, fan, sweeping, so, seen>>

Records(d) ==
    LET e == deliverer[d].endpoint
        tried == delivery[e].attempts + 1
        row == CASE deliverer[d].phase = "taken"                         -> "DELIVERED"
                 [] deliverer[d].phase = "parks"                         -> "PARKED"
                 [] deliverer[d].phase = "failed" /\ tried = Attempts    -> "EXHAUSTED"
                 [] OTHER                                                -> "PENDING"
    IN  /\ deliverer[d].phase \in {"taken", "failed", "parks"}
        /\ IF delivery[e].lease /= d
           THEN Idle(d) /\ UNCHANGED <<delivery, queue, so>>              \* overtaken
           ELSE /\ delivery' = [delivery EXCEPT ![e] = [status |-> row, lease |-> NoOne,
                                    attempts |-> IF row = "PARKED" THEN @.attempts ELSE tried]]
                /\ IF row = "PARKED" /\ Has("parking looks again") THEN Goes(d, "looks again") ELSE Idle(d)
                /\ IF row = "PENDING"
                   THEN \/ queue' = queue \cup {e} /\ UNCHANGED so
                        \/ Fault /\ UNCHANGED queue
                   ELSE UNCHANGED <<queue, so>>
        /\ UNCHANGED <<outbox, endpoint, topic, fan, sweeping, seen>>

Unpark(e) ==
    /\ delivery' = [delivery EXCEPT ![e].status = "PENDING"]
    /\ queue' = queue \cup {e}

(* Whoever parks looks at the endpoint after that, and whoever enables one at what is parked: one of  *)
(* the two sees the other.                                                                            *)
LooksAgain(d) ==
    LET e == deliverer[d].endpoint IN
    /\ deliverer[d].phase = "looks again" /\ Idle(d)
    /\ IF endpoint[e] = "ENABLED" /\ delivery[e].status = "PARKED" THEN Unpark(e)
       ELSE UNCHANGED <<delivery, queue>>
    /\ UNCHANGED <<outbox, endpoint, topic, fan, sweeping, so, seen>>

DelivererDies(d) ==
    /\ deliverer[d].phase /= "idle" /\ Fault /\ Idle(d)
    /\ queue' = queue \cup {deliverer[d].endpoint}                        \* the message comes again
    /\ UNCHANGED <<rows, topic, fan, sweeping, seen>>

-----------------------------------------------------------------------------
(* An endpoint's owner disables it, or enables it and with that sends off what is parked.             *)

Changed == changes < Changes /\ changes' = changes + 1 /\ UNCHANGED faults

Disables(e) ==
    /\ endpoint[e] = "ENABLED" /\ Changed /\ endpoint' = [endpoint EXCEPT ![e] = "DISABLED"]
    /\ UNCHANGED <<outbox, delivery, topic, queue, fan, deliverer, sweeping, seen>>

Enables(e) ==
    /\ endpoint[e] = "DISABLED" /\ Changed /\ endpoint' = [endpoint EXCEPT ![e] = "ENABLED"]
    /\ sweeping' = sweeping \cup {e}
    /\ UNCHANGED <<outbox, delivery, topic, queue, fan, deliverer, seen>>

Sweeps(e) ==
    /\ e \in sweeping /\ sweeping' = sweeping \ {e}
    /\ IF delivery[e].status = "PARKED" /\ Has("enabling sweeps") THEN Unpark(e)
       ELSE UNCHANGED <<delivery, queue>>
    /\ UNCHANGED <<outbox, endpoint, topic, fan, deliverer, so, seen>>

-----------------------------------------------------------------------------
(* The reconciler sends again what is due.                                                            *)

AnnounceAgain ==
    /\ Has("reconcile: events")
    /\ outbox /\ ~topic /\ topic' = TRUE
    /\ UNCHANGED <<rows, queue, fan, deliverer, sweeping, so, seen>>

DeliverAgain(e) ==
    /\ Has("reconcile: deliveries")
    /\ delivery[e].status = "PENDING" /\ ~IsLeased(e) /\ e \notin queue
    /\ queue' = queue \cup {e}
    /\ UNCHANGED <<rows, topic, fan, deliverer, sweeping, so, seen>>

-----------------------------------------------------------------------------
FanOut == FanOutBegins \/ (\E e \in Endpoints : FanOutStores(e)) \/ FanOutSends \/ FanOutEnds
Deliverer(d) == Takes(d) \/ Looks(d) \/ Calls(d) \/ DisablesGone(d) \/ Records(d) \/ LooksAgain(d)

Next ==
    \/ FanOut \/ FanOutDies \/ AnnouncementIsLost \/ AnnounceAgain
    \/ \E d \in Deliverers : Deliverer(d) \/ DelivererDies(d)
    \/ \E e \in Endpoints : Disables(e) \/ Enables(e) \/ Sweeps(e) \/ DeliverAgain(e)

Fairness ==
    /\ WF_vars(FanOut) /\ WF_vars(AnnounceAgain)
    /\ \A d \in Deliverers : WF_vars(Deliverer(d))
    /\ \A e \in Endpoints : WF_vars(Sweeps(e)) /\ WF_vars(DeliverAgain(e))

Spec == Init /\ [][Next]_vars /\ Fairness

-----------------------------------------------------------------------------
LeavesTheOutboxLast == ~outbox => \A e \in Endpoints : delivery[e] /= Missing

OneDeliveryEach == \A e \in Endpoints : copies[e] <= 1

DeliveredWasTaken == \A e \in Endpoints : delivery[e].status = "DELIVERED" => taken[e] > 0

OneAttemptAtATime ==
    \A c, d \in Deliverers :
        c /= d /\ deliverer[c].phase = "calls" /\ deliverer[d].phase = "calls"
            => deliverer[c].endpoint /= deliverer[d].endpoint

(* Delivered, given up after every attempt, or kept for an endpoint that is disabled. *)
EveryEventArrives ==
    \A e \in Endpoints :
        <>[](\/ delivery[e].status \in {"DELIVERED", "EXHAUSTED"}
             \/ delivery[e].status = "PARKED" /\ endpoint[e] = "DISABLED")

=============================================================================
