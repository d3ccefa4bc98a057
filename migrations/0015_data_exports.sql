-- Copies of everything an account has (U25): where each is, and a lane of their own for the work of making them.

-- One row for each that was asked for. No personal data: instants only. Deleted with the account.
create table read_models_a.data_exports_v1 (
    export_id    uuid        primary key,
    account_id   uuid        not null,
    requested_at timestamptz not null,
    ready_at     timestamptz,
    expires_at   timestamptz,
    failed_at    timestamptz
);
create index on read_models_a.data_exports_v1 (account_id, requested_at desc, export_id desc);
select add_read_model('DataExports', 1, 'data_exports_v1');

-- A release before this one never leases from a lane that it does not know.
alter table process_work
    drop constraint process_work_lane_check,
    add constraint process_work_lane_check check (lane in ('command', 'timer', 'message', 'render', 'export'));
