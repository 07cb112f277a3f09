# The command baseledger, as in the package.
FROM docker.io/library/node:24.9.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json ./
RUN npm ci --ignore-scripts
COPY scripts/build.ts ./scripts/
COPY src ./src
RUN node scripts/build.ts

FROM docker.io/library/node:24.9.0-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
COPY db ./db
COPY --from=build /app/dist ./dist
# git may have checked out the migrations readable for their author only
RUN chmod -R a+rX db dist
USER node
ENTRYPOINT ["node", "dist/cli/main.js"]
