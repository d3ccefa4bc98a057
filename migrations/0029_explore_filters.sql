-- Explore's filters by media type, by model, and by both: each gives its page in the feed's order without reading what is not asked for.
-- Published items only, as the feed's own index. Both places of the model have them, so a rebuild has them too.
create index explore_v1_by_media on read_models_a.explore_v1 (media_type, published_at desc, generation_id desc) where published_at is not null;
create index explore_v1_by_model on read_models_a.explore_v1 (model, published_at desc, generation_id desc) where published_at is not null;
create index explore_v1_by_both on read_models_a.explore_v1 (media_type, model, published_at desc, generation_id desc) where published_at is not null;
create index explore_v1_by_media on read_models_b.explore_v1 (media_type, published_at desc, generation_id desc) where published_at is not null;
create index explore_v1_by_model on read_models_b.explore_v1 (model, published_at desc, generation_id desc) where published_at is not null;
create index explore_v1_by_both on read_models_b.explore_v1 (media_type, model, published_at desc, generation_id desc) where published_at is not null;
