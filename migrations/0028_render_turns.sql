-- The renderer takes accounts in turn. Each render has a turn: the first of an account that has none waiting is in the round that is at
-- work, each further one a round later. Renders are taken by their turns, and by their time within one. `payer` is the account whose turn
-- it is and `subject` the job; both stand in the payload as well, and go with the row.
alter table process_work add column turn bigint, add column payer uuid, add column subject uuid;

-- What waits already keeps the order of its time.
update process_work w set turn = o.n, subject = (w.payload->>'generation')::uuid
from (select id, row_number() over (order by due_at, id) as n from process_work where lane = 'render') o
where w.id = o.id;

-- A node of the release before gives no turn: what it adds comes first, as it did.
create index process_work_turns on process_work (coalesce(turn, 0), due_at) where lane = 'render';
create index process_work_payers on process_work (payer, turn) where lane = 'render';
create index process_work_subjects on process_work (subject) where lane = 'render';
